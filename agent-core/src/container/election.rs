//! Which of a container's processes is the main one.
//!
//! The main process is the one that entered from outside and is PID 1 of a pid namespace; where there is none (shared
//! pid namespaces, services) it is the first that entered. One that exits without ever having called exec does not
//! count if another is there: a runtime's helper that makes the real one and goes.
//!
//! A sandbox (Kubernetes' and CRI-O's `pause`, podman's `catatonit -P`) holds namespaces for other containers and is
//! killed as a matter of course. No path tells it from a container, its main process does: such a one is no subject,
//! unless the status of a pod names it (a pod that only keeps room for others runs `pause` as its container).

use super::Container;
use crate::process::{Origin, Process};
use crate::report::SubjectKind;

impl Container {
    /// The main process, as far as the facts tell now.
    pub(crate) fn main(&self) -> Option<&Process> {
        self.candidates().min_by_key(|process| {
            let left_without_exec = process.exit.is_some() && !process.has_run();
            let rank = match (process.is_init(), left_without_exec) {
                (true, _) => 0,
                (false, false) => 1,
                (false, true) => 2,
            };
            (rank, process.start, process.tgid)
        })
    }

    fn candidates(&self) -> impl Iterator<Item = &Process> {
        self.processes.values().filter(|process| !process.spent)
    }

    /// Whether another process than the main one lives and could take its place.
    pub(crate) fn has_successor(&self) -> bool {
        let main = self.main().map(|main| main.tgid);
        self.candidates()
            .any(|other| Some(other.tgid) != main && other.is_alive())
    }

    /// Whether another process could as well be the main one: it was not seen which entered first.
    pub(crate) fn main_is_ambiguous(&self) -> bool {
        let found = |process: &Process| process.origin != Origin::Entered;
        self.main().is_some_and(|main| {
            let alone = self.candidates().filter(|other| found(other)).count() <= 1;
            main.origin == Origin::Mentioned || (!main.is_init() && found(main) && !alone)
        })
    }

    /// Whether a runtime made it for a container.
    pub(crate) const fn is_of_runtime(&self) -> bool {
        match self.subject.kind {
            SubjectKind::Docker
            | SubjectKind::Podman
            | SubjectKind::Containerd
            | SubjectKind::Crio => true,
            SubjectKind::SystemdService | SubjectKind::SystemdScope | SubjectKind::Cgroup => false,
        }
    }

    /// Whether it is a sandbox, which is no subject.
    pub(crate) fn is_sandbox(&self) -> bool {
        self.is_of_runtime()
            && !self.is_named()
            && self.main().is_some_and(|main| {
                main.comm == "pause"
                    || (main.comm == "catatonit" && main.argv().iter().any(|word| word == "-P"))
            })
    }

    /// Whether its processes on the node are a virtual machine's or a sandboxed kernel's instead of its own: its pod names
    /// a runtime class, and the main process is one of such a runtime (Kata Containers, gVisor).
    pub(crate) fn is_opaque(&self) -> bool {
        const RUNTIMES: [&str; 8] = [
            "qemu-",
            "firecracker",
            "cloud-hyperviso",
            "stratovirt",
            "dragonball",
            "virtiofsd",
            "containerd-shim-kata",
            "runsc",
        ];
        let has_class = self
            .pod
            .as_ref()
            .is_some_and(|pod| pod.pod.runtime_class.is_some());
        let is_one = |name: &str| RUNTIMES.iter().any(|one| name.starts_with(one));
        has_class
            && self.main().is_some_and(|main| {
                let program = main.argv().first().and_then(|path| path.rsplit('/').next());
                is_one(&main.comm) || program.is_some_and(is_one)
            })
    }
}
