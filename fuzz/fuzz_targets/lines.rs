//! Changes a journal by its lines and by the numbers and words in them, so that most of it can still be read.

/// The journal with one to four changes.
pub fn change(text: &[u8], seed: u32) -> Vec<u8> {
    let mut random = Random(u64::from(seed) | 1 << 40);
    let mut lines: Vec<Vec<u8>> = text
        .split_inclusive(|byte| *byte == b'\n')
        .map(<[u8]>::to_vec)
        .collect();
    for _ in 0..=random.below(4) {
        if lines.len() < 2 {
            break;
        }
        change_once(&mut lines, &mut random);
    }
    lines.concat()
}

fn change_once(lines: &mut Vec<Vec<u8>>, random: &mut Random) {
    // The first line is the header.
    let one = 1 + random.below(lines.len() - 1);
    let other = 1 + random.below(lines.len() - 1);
    match random.below(10) {
        0 => drop(lines.remove(one)),
        1 => {
            let copy = lines[one].clone();
            lines.insert(other, copy);
        }
        2 => lines.swap(one, other),
        3 => {
            let moved = lines.remove(one);
            let place = (1 + random.below(lines.len())).min(lines.len());
            lines.insert(place, moved);
        }
        4 => lines.truncate(one.max(2)),
        5 => swap_words(lines, one, other, random),
        6 => {
            let from = lines[other].clone();
            change_number(&mut lines[0], &from, random);
        }
        _ => {
            let from = lines[other].clone();
            change_number(&mut lines[one], &from, random);
        }
    }
}

/// Puts a number of `from`, or one nearby, in the place of one of `line`.
fn change_number(line: &mut Vec<u8>, from: &[u8], random: &mut Random) {
    let numbers = tokens(line, u8::is_ascii_digit);
    if numbers.is_empty() {
        return;
    }
    let (start, end) = numbers[random.below(numbers.len())];
    let own = number(&line[start..end]);
    let others = tokens(from, u8::is_ascii_digit);
    let new = match random.below(6) {
        0 if !others.is_empty() => {
            let (start, end) = others[random.below(others.len())];
            number(&from[start..end])
        }
        1 => own.wrapping_add(1),
        2 => own.saturating_sub(1),
        3 => own.wrapping_add(1_000_000_000 * random.below(200) as u64),
        4 => own.saturating_sub(1_000_000 * random.below(5000) as u64),
        _ => [0, 1, 9, 15, 64, 255, 65_535, u64::from(u32::MAX), u64::MAX][random.below(9)],
    };
    line.splice(start..end, new.to_string().into_bytes());
}

/// Puts a word of one line in the place of one of another.
fn swap_words(lines: &mut [Vec<u8>], one: usize, other: usize, random: &mut Random) {
    let is_letter = |byte: &u8| byte.is_ascii_alphabetic() || *byte == b'_';
    let from = tokens(&lines[other], is_letter);
    let to = tokens(&lines[one], is_letter);
    if from.is_empty() || to.is_empty() {
        return;
    }
    let (start, end) = from[random.below(from.len())];
    let word = lines[other][start..end].to_vec();
    let (start, end) = to[random.below(to.len())];
    lines[one].splice(start..end, word);
}

fn tokens(line: &[u8], such: impl Fn(&u8) -> bool) -> Vec<(usize, usize)> {
    let mut tokens = Vec::new();
    let mut start = None;
    for (place, byte) in line.iter().chain(b"\n").enumerate() {
        match (such(byte), start) {
            (true, None) => start = Some(place),
            (false, Some(begun)) => {
                tokens.push((begun, place));
                start = None;
            }
            (true, Some(_)) | (false, None) => {}
        }
    }
    tokens
}

fn number(digits: &[u8]) -> u64 {
    let text = std::str::from_utf8(digits).unwrap_or_default();
    text.parse().unwrap_or(u64::MAX)
}

struct Random(u64);

impl Random {
    /// Less than `count`, which is not 0.
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 % count as u64) as usize
    }
}
