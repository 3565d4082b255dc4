//! Which signals may be meant to stop a container.

use crate::signal::Signal;

/// Stop signals of well-known images that are not SIGTERM (nginx, php-fpm; postgres; httpd; systemd as PID 1). Where none
/// is configured, they count in hindsight: if the main process ended soon after one and no SIGTERM was seen.
const OF_IMAGES: [u32; 4] = [3, 2, 28, 37];

/// The signals worth a record for a container with this stop signal, or with none configured.
pub(crate) fn recorded(configured: Option<Signal>) -> Vec<Signal> {
    let mut signals = match configured {
        Some(signal) => vec![signal],
        None => std::iter::once(Signal::TERM).chain(of_images()).collect(),
    };
    signals.push(Signal::KILL);
    signals
}

/// The stop signals of well-known images.
pub(crate) fn of_images() -> impl Iterator<Item = Signal> {
    OF_IMAGES
        .into_iter()
        .filter_map(|number| Signal::try_from(number).ok())
}

/// What the spec of a pod may name, without SIGCHLD, which the kernel sends for every exit of a child, and SIGURG, by which
/// Go's runtime interrupts its threads: to look at each of those would cost every process of the node.
pub(crate) fn of_pods() -> impl Iterator<Item = Signal> {
    const CHLD: u32 = 17;
    const URG: u32 = 23;
    (1..=64)
        .filter(|number| ![CHLD, URG].contains(number))
        .filter_map(|number| Signal::try_from(number).ok())
}
