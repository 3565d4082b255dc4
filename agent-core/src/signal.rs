//! Signal numbers and their names, as on x86-64 and arm64 Linux.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A signal number, 1 to 64.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "u32", into = "u32")]
pub struct Signal(u8);

const NAMES: [&str; 31] = [
    "SIGHUP",
    "SIGINT",
    "SIGQUIT",
    "SIGILL",
    "SIGTRAP",
    "SIGABRT",
    "SIGBUS",
    "SIGFPE",
    "SIGKILL",
    "SIGUSR1",
    "SIGSEGV",
    "SIGUSR2",
    "SIGPIPE",
    "SIGALRM",
    "SIGTERM",
    "SIGSTKFLT",
    "SIGCHLD",
    "SIGCONT",
    "SIGSTOP",
    "SIGTSTP",
    "SIGTTIN",
    "SIGTTOU",
    "SIGURG",
    "SIGXCPU",
    "SIGXFSZ",
    "SIGVTALRM",
    "SIGPROF",
    "SIGWINCH",
    "SIGIO",
    "SIGPWR",
    "SIGSYS",
];

/// Other names of some, which `kill -l` of shells, procps and util-linux knows.
const OTHER_NAMES: [(&str, u8); 4] = [("IOT", 6), ("CLD", 17), ("POLL", 29), ("UNUSED", 31)];

/// First and last real-time signal as libc counts them (the two below are its own).
const RTMIN: u8 = 34;
const RTMAX: u8 = 64;

impl Signal {
    /// SIGTERM, the stop signal unless another is configured.
    pub const TERM: Self = Self(15);
    /// SIGKILL.
    pub const KILL: Self = Self(9);
    /// The highest number.
    pub const MAX: u32 = RTMAX as u32;

    /// Its number.
    pub const fn number(self) -> u32 {
        self.0 as u32
    }

    /// Whether no program can handle or block it: SIGKILL and SIGSTOP.
    pub const fn is_for_the_kernel_only(self) -> bool {
        matches!(self.0, 9 | 19)
    }

    /// Whether its default action is none: SIGCHLD, SIGCONT (which has let the process go on when it was sent), SIGURG and SIGWINCH
    /// (<https://man7.org/linux/man-pages/man7/signal.7.html>).
    pub const fn does_nothing_by_default(self) -> bool {
        matches!(self.0, 17 | 18 | 23 | 28)
    }

    /// Whether several of this number wait beside each other: from the kernel's SIGRTMIN on
    /// (<https://man7.org/linux/man-pages/man7/signal.7.html>, "Queueing and delivery semantics").
    pub const fn is_real_time(self) -> bool {
        self.0 as usize > NAMES.len()
    }

    /// Its bit in a kernel signal mask: bit n-1 for signal n.
    pub const fn mask_bit(self) -> u64 {
        1 << (self.0 - 1)
    }
}

/// A set of signals as the kernel keeps it: bit n-1 for signal n.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SignalSet(pub u64);

impl SignalSet {
    /// Whether the signal is in it.
    pub const fn contains(self, signal: Signal) -> bool {
        self.0 & signal.mask_bit() != 0
    }
}

/// Not a signal: the number or the name is unknown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a signal; give a name such as SIGTERM or SIGRTMIN+3, or a number from 1 to 64"
)]
pub struct UnknownSignal(pub String);

impl TryFrom<u32> for Signal {
    type Error = UnknownSignal;

    fn try_from(number: u32) -> Result<Self, UnknownSignal> {
        match u8::try_from(number) {
            Ok(small @ 1..=64) => Ok(Self(small)),
            Ok(_) | Err(_) => Err(UnknownSignal(number.to_string())),
        }
    }
}

impl From<Signal> for u32 {
    fn from(signal: Signal) -> Self {
        signal.number()
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (NAMES.get(usize::from(self.0) - 1), self.0) {
            (Some(name), _) => f.write_str(name),
            (None, RTMIN..=RTMAX) => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            (None, number) => write!(f, "SIG{number}"),
        }
    }
}

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// Accepts `SIGTERM`, `TERM`, `15`, `SIGRTMIN`, `RTMIN+3`, `RTMAX-2`, `RT3`, and other names such as `SIGPOLL`, in any case.
    fn from_str(text: &str) -> Result<Self, UnknownSignal> {
        let unknown = || UnknownSignal(text.to_owned());
        if let Ok(number) = text.parse::<u32>() {
            return Self::try_from(number).map_err(|_number| unknown());
        }
        let upper = text.to_ascii_uppercase();
        let short = upper.strip_prefix("SIG").unwrap_or(&upper);
        let names = NAMES.iter().map(|name| name.trim_start_matches("SIG"));
        names
            .zip(1..)
            .chain(OTHER_NAMES)
            .find(|(name, _)| *name == short)
            .map(|(_, number)| number)
            .or_else(|| real_time(short))
            .map(Self)
            .ok_or_else(unknown)
    }
}

/// The number of a real-time signal, named without `SIG`.
fn real_time(name: &str) -> Option<u8> {
    let offset = |text: &str, sign: char| {
        let digits = if text.is_empty() {
            "0"
        } else {
            text.strip_prefix(sign)?
        };
        // It can have no sign of its own.
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u8>().ok().filter(|_| is_number)
    };
    let number = if let Some(above) = name.strip_prefix("RTMIN") {
        RTMIN.checked_add(offset(above, '+')?)?
    } else if let Some(below) = name.strip_prefix("RTMAX") {
        RTMAX.checked_sub(offset(below, '-')?)?
    } else {
        // As util-linux counts them.
        let above = name.strip_prefix("RT").filter(|above| !above.is_empty())?;
        RTMIN.checked_add(offset(&format!("+{above}"), '+')?)?
    };
    (RTMIN..=RTMAX).contains(&number).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::{Signal, SignalSet};

    #[test]
    fn every_signal_is_read_back_from_its_name_and_number() {
        for number in 1..=64 {
            let signal = Signal::try_from(number).unwrap();
            assert_eq!(signal.to_string().parse::<Signal>().ok(), {
                let has_name = !(32..34).contains(&number);
                has_name.then_some(signal)
            });
            assert_eq!(number.to_string().parse(), Ok(signal));
            assert_eq!(signal.mask_bit(), 1 << (number - 1));
            assert!(SignalSet(1 << (number - 1)).contains(signal));
            assert!(!SignalSet(!(1 << (number - 1))).contains(signal));
        }
    }

    #[test]
    fn names_are_those_of_linux() {
        let name = |number: u32| Signal::try_from(number).unwrap().to_string();
        assert_eq!(name(2), "SIGINT");
        assert_eq!(name(9), "SIGKILL");
        assert_eq!(name(15), "SIGTERM");
        assert_eq!(name(28), "SIGWINCH");
        assert_eq!(name(31), "SIGSYS");
        assert_eq!(name(37), "SIGRTMIN+3");
        assert_eq!("term".parse(), Ok(Signal::TERM));
    }

    /// What `kill -l` prints: bash, and the further names of procps and util-linux.
    #[test]
    fn every_name_of_kill_is_read() {
        let real_time = (34..=64).flat_map(|number| {
            let (above, below) = (number - 34, 64 - number);
            [
                (format!("RTMIN+{above}"), number),
                (format!("RTMAX-{below}"), number),
                (format!("RT{above}"), number),
            ]
        });
        let others = [
            ("IOT", 6),
            ("CLD", 17),
            ("POLL", 29),
            ("IO", 29),
            ("UNUSED", 31),
        ];
        let bare = [
            ("RTMIN", 34),
            ("RTMAX", 64),
            ("TERM", 15),
            ("STKFLT", 16),
            ("SYS", 31),
        ];
        let named = others.into_iter().chain(bare);
        let named = named.map(|(name, number)| (name.to_owned(), number));
        for (name, number) in named.chain(real_time) {
            for name in [
                name.clone(),
                format!("SIG{name}"),
                format!("sig{name}").to_lowercase(),
            ] {
                let read = name.parse::<Signal>().map(Signal::number);
                assert_eq!(read, Ok(number), "{name}");
            }
        }
    }

    #[test]
    fn what_is_no_signal_is_named() {
        for text in [
            "0",
            "65",
            "-1",
            "SIGTEA",
            "SIG",
            "SIGSIGTERM",
            "RTMIN+31",
            "RTMIN+99999999999",
            "RTMIN-1",
            "RTMAX+1",
            "RTMAX-31",
            "RTMIN+",
            "RTMIN++1",
            "RTMIN+-1",
            "RTMAX--1",
            "RT",
            "RT31",
            "RT-1",
            "RT+1",
            "SIGRT1x",
            "SIG15",
            "TERM ",
            "",
        ] {
            let error = text.parse::<Signal>().unwrap_err();
            assert!(error.to_string().starts_with(&format!("`{text}` is not")));
        }
    }
}
