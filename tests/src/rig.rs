//! Real containers without a runtime: cgroups, pid namespaces, processes and a kubelet's stop, made
//! by this very program, which starts itself again under other names.
//!
//! * [`clock`]: the kernel's boot clock, which is also the agent's.
//! * [`cgroup`]: folders in the v2 tree that remove themselves.
//! * [`limit`]: limits on their memory and processes.
//! * [`toolbox`]: this program under its other names, and the logs that its programs write.
//! * [`stage`]: what those names do on the way into a container: `shim`, `enter`, `send`.
//! * [`app`]: what runs inside: programs that handle, ignore, fetch or outlive their stop signal.
//! * [`actor`]: the same that do one thing with signals, or to other processes of the container.
//! * [`attacker`]: one that attacks the agent.
//! * [`puppet`]: a server that is told every step.
//! * [`network`]: network namespaces, and the pair of devices between two of them.
//! * [`launch`]: a process put into a container: its main process or a hook.
//! * [`kubelet`]: hook, stop signal, grace, SIGKILL, with the time of each act.
//! * [`root`]: a tree of files that is a container's root.
//! * [`trace`]: the kernel's own trace, a second clock.
//!
//! A program that uses the rig begins its `main` with [`toolbox::run_part`].

pub mod actor;
pub mod app;
pub mod attacker;
pub mod cgroup;
pub mod clock;
pub mod kubelet;
pub mod launch;
pub mod limit;
pub mod network;
pub mod puppet;
pub mod root;
pub mod stage;
pub mod toolbox;
pub mod trace;
