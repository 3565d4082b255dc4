//! The processes that are remembered of a container, and which of them is the main one: an event asks for it many times, and may
//! find hundreds of processes.

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::ops::{Deref, DerefMut};

use super::election;
use crate::event::Tgid;
use crate::process::Process;

/// Processes by their pid. The main one is found once, until something may have changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Processes {
    all: BTreeMap<Tgid, Process>,
    main: OnceCell<Option<Tgid>>,
}

impl Processes {
    /// The main process, as far as the facts tell now.
    pub(super) fn main(&self) -> Option<&Process> {
        let main = self.main.get_or_init(|| election::main(&self.all));
        self.all.get(main.as_ref()?)
    }
}

impl Deref for Processes {
    type Target = BTreeMap<Tgid, Process>;

    fn deref(&self) -> &Self::Target {
        &self.all
    }
}

/// Whoever can change a process can change which is the main one.
impl DerefMut for Processes {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.main.take();
        &mut self.all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::ProcessFound;
    use crate::purse::Purses;
    use crate::time::Timestamp;

    fn found(tgid: u32, start: u64) -> Process {
        let found = ProcessFound {
            tgid: Tgid(tgid),
            ns_tgid: tgid,
            ns_level: 0,
            parent_tgid: Tgid(1),
            parent_outside: true,
            start: Timestamp(start),
            comm: "app".to_owned(),
            argv: vec!["app".to_owned()],
        };
        let purse = Purses::default().of("/app");
        Process::found(&found, Timestamp(start), &purse)
    }

    #[test]
    fn the_main_process_is_found_again_after_every_change() {
        let mut processes = Processes::default();
        let main = |processes: &Processes| processes.main().map(|main| main.tgid.0);
        assert_eq!(main(&processes), None);
        processes.insert(Tgid(2), found(2, 200));
        assert_eq!(main(&processes), Some(2));
        processes.insert(Tgid(3), found(3, 100));
        assert_eq!(main(&processes), Some(3));
        processes.get_mut(&Tgid(3)).unwrap().spent = true;
        assert_eq!(main(&processes), Some(2));
        for process in processes.values_mut() {
            process.spent = !process.spent;
        }
        assert_eq!(main(&processes), Some(3));
        processes.remove(&Tgid(3));
        assert_eq!(main(&processes), None);
    }
}
