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
