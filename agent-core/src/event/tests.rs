//! What a signal's facts say of where it came from.

use super::*;

fn process(tgid: u32) -> Process {
    Process {
        tgid: Tgid(tgid),
        ns_tgid: 1,
        ns_level: 1,
        ns_inum: 1,
        start: Timestamp(1),
        container: None,
        parent_tgid: Tgid(1),
        parent_outside: true,
        parent_comm: String::new(),
        comm: String::new(),
    }
}

fn signal_sent(number: u32, code: i32, sender: u32) -> SignalSent {
    SignalSent {
        signal: Signal::try_from(number).unwrap(),
        target: process(10),
        sender: process(sender),
        code,
        result: Delivery::Delivered,
        handler: Handler::Default,
        blocked: false,
        traced: false,
        exiting: false,
        unkillable: false,
        pending: None,
        watched: true,
        last_outside: None,
    }
}

#[test]
fn codes_of_the_kernel_have_no_sender() {
    let si_kernel = 128;
    let (segv_maperr, sys_seccomp) = (1, 1);
    for (number, code) in [
        (9, si_kernel),
        (14, si_kernel),
        (24, si_kernel),
        (11, segv_maperr),
        (31, sys_seccomp),
        (34, -2),
        (35, -3),
        (36, -4),
        (29, -5),
        (9, -7),
        (34, -60),
    ] {
        for sender in [10, 20] {
            assert!(
                signal_sent(number, code, sender).is_from_kernel(),
                "{number} {code}"
            );
        }
    }
}

#[test]
fn kill_sigqueue_and_tkill_are_a_processs() {
    for code in [0, -1, -6] {
        for number in [1, 2, 3, 6, 9, 15] {
            for sender in [10, 20] {
                assert!(
                    !signal_sent(number, code, sender).is_from_kernel(),
                    "{number} {code}"
                );
            }
        }
    }
}

#[test]
fn a_closed_pipe_and_a_file_too_large_look_like_the_programs_own() {
    for number in [13, 25] {
        assert!(signal_sent(number, 0, 10).is_from_kernel());
        assert!(!signal_sent(number, 0, 20).is_from_kernel());
        assert!(!signal_sent(number, -6, 10).is_from_kernel());
    }
    assert!(signal_sent(6, -6, 10).is_own());
    assert!(!signal_sent(6, 0, 20).is_own());
}
