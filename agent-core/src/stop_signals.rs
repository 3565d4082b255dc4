//! Which signals may be meant to stop a container.

use crate::signal::Signal;

/// Stop signals of well-known images that are not SIGTERM (nginx, php-fpm; postgres; httpd; systemd as PID 1). Where none
/// is configured, they count in hindsight: if the main process ended soon after one and no SIGTERM was seen.
const OF_IMAGES: [u32; 4] = [3, 2, 28, 37];

/// Signals that the kernel and Go's runtime send all the time: SIGCHLD for every exit of a child, SIGURG to interrupt a
/// thread. To look at each of those would cost every process of the node.
const TOO_MANY: [u32; 2] = [17, 23];

/// The signals worth a record for a container with this stop signal, or with none configured: any number can be a stop
/// signal, and whoever stops a container may send another one than is configured.
pub(crate) fn recorded(configured: Option<Signal>) -> Vec<Signal> {
    (1..=Signal::MAX)
        .filter(|number| !TOO_MANY.contains(number))
        .filter_map(|number| Signal::try_from(number).ok())
        .chain(configured.filter(|signal| TOO_MANY.contains(&signal.number())))
        .collect()
}

/// Of these, the ones that are likely to be the stop signal, which the kernel side remembers as the last one from outside.
pub(crate) fn beginning(configured: Option<Signal>) -> Vec<Signal> {
    let mut signals = match configured {
        Some(signal) => vec![signal],
        None => std::iter::once(Signal::TERM).chain(of_images()).collect(),
    };
    signals.push(Signal::KILL);
    signals
}

/// The signals of which the first begins a stop as far as anybody knows: the configured one or SIGTERM, and SIGKILL.
pub(crate) fn stopping(stop_signal: Signal) -> Vec<Signal> {
    vec![stop_signal, Signal::KILL]
}

/// The signals each of which may turn out to be the stop signal in hindsight.
pub(crate) fn candidates(stop_signal: Signal) -> Vec<Signal> {
    (1..=Signal::MAX)
        .filter_map(|number| Signal::try_from(number).ok())
        .filter(|signal| is_candidate(*signal, stop_signal))
        .collect()
}

/// Whether this signal may turn out to be the stop signal in hindsight.
pub(crate) fn is_candidate(signal: Signal, stop_signal: Signal) -> bool {
    signal == stop_signal || may_stop(signal) || may_stop_alone(signal)
}

/// The stop signals of well-known images.
pub(crate) fn of_images() -> impl Iterator<Item = Signal> {
    OF_IMAGES
        .into_iter()
        .filter_map(|number| Signal::try_from(number).ok())
}

/// Whether a signal with this number can stop a container whose stop signal is not configured: not if it stops a process or
/// lets it go on (job control), or if it stands for a fault of the program.
pub(crate) const fn may_stop(signal: Signal) -> bool {
    !matches!(signal.number(), 17..=23 | 4..=8 | 11 | 31)
}

/// Whether a signal with this number stops nothing as a rule, and may have been the stop signal all the same where no other came:
/// an image may name any number. Those for faults of the program, and those of job control but for SIGSTOP, which no program can
/// handle.
const fn may_stop_alone(signal: Signal) -> bool {
    is_fault(signal) || is_of_job_control(signal)
}

/// Whether a signal with this number is one of job control that a program can handle.
pub(crate) const fn is_of_job_control(signal: Signal) -> bool {
    matches!(signal.number(), 18 | 20..=22)
}

/// Whether a signal with this number stands for a fault of the program.
pub(crate) const fn is_fault(signal: Signal) -> bool {
    matches!(signal.number(), 4..=8 | 11 | 31)
}

/// Whether a signal with this number asks a program to end, by custom: SIGINT, SIGQUIT, SIGTERM, SIGPWR. From inside a container
/// the others are messages between its processes.
pub(crate) const fn asks_to_end(signal: Signal) -> bool {
    matches!(signal.number(), 2 | 3 | 15 | 30)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(signals: &[Signal]) -> Vec<u32> {
        signals.iter().map(|signal| signal.number()).collect()
    }

    #[test]
    fn any_signal_but_two_may_stop_whatever_is_configured() {
        let all: Vec<u32> = (1..=64)
            .filter(|number| ![17, 23].contains(number))
            .collect();
        assert_eq!(numbers(&recorded(None)), all);
        let quit = Signal::try_from(3).ok();
        assert_eq!(numbers(&recorded(quit)), all);
    }

    #[test]
    fn one_of_the_two_is_recorded_where_it_is_configured() {
        let child = Signal::try_from(17).ok();
        let signals = recorded(child);
        assert_eq!(signals.last().copied(), child);
        assert_eq!(signals.len(), 63);
    }

    #[test]
    fn the_phase_begins_with_the_configured_one_or_with_the_usual_ones() {
        assert_eq!(numbers(&beginning(None)), [15, 3, 2, 28, 37, 9]);
        assert_eq!(numbers(&beginning(Signal::try_from(10).ok())), [10, 9]);
    }
}
