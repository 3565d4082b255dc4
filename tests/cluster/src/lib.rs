//! The rig for real container runtimes and a real Kubernetes on one machine, which it leaves as it was.
//!
//! * [`jail`]: namespaces and cgroups of the rig's own; what is mounted, listens or is routed in them goes with it.
//! * [`daemon`]: a program that runs until it is stopped, with its log.
//! * [`containerd`]: a container runtime in the jail, with CNI and images.
//! * [`cri`]: what a kubelet asks it for.
//! * [`cluster`]: a Kubernetes of one node in the jail.
//! * [`journal`]: what of all that a recorded journal does not keep.
//! * [`suites`]: what is compared of containers that the test suites of others ended.
#![forbid(unsafe_code)]

pub mod cluster;
pub mod containerd;
pub mod cri;
pub mod daemon;
pub mod jail;
pub mod journal;
pub mod suites;
