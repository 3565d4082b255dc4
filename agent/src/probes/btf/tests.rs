//! BTF made by hand, so that every rule of the format that is relied upon has its example.

use super::*;

/// Builds a BTF file type by type.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
}

impl Builder {
    fn new() -> Self {
        Self {
            types: Vec::new(),
            strings: vec![0],
        }
    }

    fn string(&mut self, text: &str) -> u32 {
        if text.is_empty() {
            return 0;
        }
        let at = self.strings.len();
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        to_word(at)
    }

    fn push_words(&mut self, words: &[u32]) {
        self.types
            .extend(words.iter().flat_map(|word| word.to_ne_bytes()));
    }

    /// Adds a type of this kind. `head` is the number of its parts, and its size or another type;
    /// `words` is what follows.
    fn add_type(&mut self, kind: u32, name: &str, head: (usize, u32), words: &[u32]) {
        let name = self.string(name);
        self.push_words(&[name, kind << 24 | to_word(head.0), head.1]);
        self.push_words(words);
    }

    fn structure(&mut self, kind: u32, name: &str, size: u32, members: &[(&str, u32, u32)]) {
        let members: Vec<u32> = members
            .iter()
            .flat_map(|(name, id, bits)| [self.string(name), *id, *bits])
            .collect();
        self.add_type(kind, name, (members.len() / 3, size), &members);
    }

    fn into_bytes(self) -> Vec<u8> {
        let mut bytes = MAGIC.to_ne_bytes().to_vec();
        bytes.extend([1, 0]);
        let (types, strings) = (to_word(self.types.len()), to_word(self.strings.len()));
        for word in [24, 0, types, types, strings] {
            bytes.extend(word.to_ne_bytes());
        }
        bytes.extend(self.types);
        bytes.extend(self.strings);
        bytes
    }
}

fn to_word(number: usize) -> u32 {
    u32::try_from(number).unwrap()
}

fn example() -> Vec<u8> {
    let mut btf = Builder::new();
    btf.add_type(1, "int", (0, 4), &[32]); // 1
    btf.structure(4, "inner", 8, &[("first", 1, 0), ("second", 1, 32)]); // 2
    btf.add_type(8, "inner_t", (0, 2), &[]); // 3: typedef of 2
    btf.add_type(10, "", (0, 3), &[]); // 4: const of 3
    btf.structure(5, "", 4, &[("either", 1, 0), ("or", 1, 0)]); // 5: anonymous union
    let outer = [("head", 1, 0), ("", 5, 64), ("wrapped", 4, 128)];
    btf.structure(4, "outer", 24, &outer); // 6
    btf.add_type(2, "", (0, 6), &[]); // 7: pointer to 6
    btf.add_type(13, "", (3, 0), &[0, 0, 0, 7, 0, 1]); // 8: void f(void, pointer, int)
    btf.add_type(2, "", (0, 8), &[]); // 9: pointer to 8
    btf.add_type(8, "btf_trace_hook", (0, 9), &[]); // 10
    btf.add_type(12, "f", (0, 8), &[]); // 11: the function f
    let (first, other) = (btf.string("FIRST"), btf.string("OTHER"));
    btf.add_type(6, "number", (2, 4), &[first, 0, other, 7]); // 12
    btf.into_bytes()
}

#[test]
fn members_are_found_inside_others_and_through_anonymous_ones() {
    let btf = Btf::from_bytes(example()).unwrap();
    assert_eq!(btf.offset("outer", &["head"]).unwrap(), 0);
    assert_eq!(btf.offset("outer", &["or"]).unwrap(), 8);
    assert_eq!(btf.offset("outer", &["wrapped"]).unwrap(), 16);
    assert_eq!(btf.offset("outer", &["wrapped", "second"]).unwrap(), 20);
    assert_eq!(btf.struct_size("outer").unwrap(), 24);
}

#[test]
fn functions_and_names_of_numbers_are_found() {
    let btf = Btf::from_bytes(example()).unwrap();
    assert!(btf.function("f").is_ok());
    let text = btf.function("hook").unwrap_err().to_string();
    assert!(text.contains("no function hook"), "{text}");
    let names = [("FIRST".to_owned(), 0), ("OTHER".to_owned(), 7)];
    assert_eq!(btf.enumeration("number").unwrap(), Some(names.to_vec()));
    assert_eq!(btf.enumeration("f").unwrap(), None);
}

#[test]
fn hooks_alone_keep_their_numbers() {
    let btf = Btf::from_bytes(example()).unwrap();
    let hooks = [
        Hook::Tracepoint("hook"),
        Hook::Function("f"),
        Hook::Function("none"),
    ];
    let alone = Btf::from_bytes(btf.only_hooks(hooks).unwrap()).unwrap();
    let find = |btf: &Btf, kind, name| btf.find_type(kind, name).unwrap();
    for (kind, name) in [(Kind::Typedef, "btf_trace_hook"), (Kind::Function, "f")] {
        assert_eq!(find(&alone, kind, name), find(&btf, kind, name));
        assert!(find(&alone, kind, name).is_some());
    }
    assert_eq!(find(&alone, Kind::Structure, "outer"), None);
    assert_eq!(alone.types.len(), btf.types.len());
}

#[test]
fn the_arguments_of_a_tracepoint_are_those_after_its_own() {
    let btf = Btf::from_bytes(example()).unwrap();
    assert_eq!(
        btf.tracepoint("hook").unwrap(),
        [Argument::Pointer, Argument::Scalar]
    );
}

#[test]
fn what_is_missing_is_named() {
    let btf = Btf::from_bytes(example()).unwrap();
    let texts = [
        btf.offset("outer", &["wrapped", "third"]).unwrap_err(),
        btf.struct_size("nothing").unwrap_err(),
        btf.tracepoint("none").unwrap_err(),
    ]
    .map(|error| error.to_string());
    assert!(texts[0].contains("struct outer") && texts[0].contains("wrapped.third"));
    assert!(texts[1].contains("struct nothing"));
    assert!(texts[2].contains("tracepoint none"));
}

#[test]
fn a_file_cut_anywhere_is_refused_or_read_but_never_a_panic() {
    let whole = example();
    for end in 0..whole.len() {
        if let Ok(btf) = Btf::from_bytes(whole[..end].to_vec()) {
            let _offset = btf.offset("outer", &["wrapped", "second"]);
            let _arguments = btf.tracepoint("hook");
        }
    }
    let without_types = Btf::from_bytes(whole[..60].to_vec());
    assert!(matches!(without_types, Err(BtfError::Malformed(_))));
}

#[test]
fn a_type_made_of_itself_is_refused() {
    let mut btf = Builder::new();
    btf.add_type(8, "btf_trace_loop", (0, 1), &[]);
    let btf = Btf::from_bytes(btf.into_bytes()).unwrap();
    assert!(matches!(
        btf.tracepoint("loop"),
        Err(BtfError::Malformed(_))
    ));
}
