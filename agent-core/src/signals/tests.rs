use super::Signals;
use crate::event::{Delivery, Handler, Tgid};
use crate::process::SignalFact;
use crate::report::Sender;
use crate::signal::Signal;
use crate::time::Timestamp;

fn signal_fact(number: u32, at: u64) -> SignalFact {
    SignalFact {
        at: Timestamp(at),
        signal: Signal::try_from(number).unwrap(),
        sender: Sender {
            tgid: Tgid(1),
            comm: "runc".to_owned(),
            parent_comm: String::new(),
            outside: true,
            kernel: false,
        },
        sender_parent: Tgid(1),
        target_comm: String::new(),
        pending: None,
        result: Delivery::Delivered,
        handler: Handler::Default,
        blocked: false,
        traced: false,
        shares_namespace: false,
        by_control: false,
        too_late: false,
        exiting: false,
    }
}

#[test]
fn a_signal_that_comes_often_takes_no_place_of_another() {
    let mut signals = Signals::default();
    for at in 0..200 {
        signals.add(signal_fact(28, at), None);
    }
    signals.add(signal_fact(15, 50), None);
    assert!(signals.iter().any(|fact| fact.signal == Signal::TERM));
    assert_eq!(signals.iter().count(), 17);
    let first = signals.iter().next().unwrap().clone();
    assert_eq!(signals.count_after(&first, |_| true), 199);
    let newest = signals.iter().next_back().unwrap().clone();
    assert_eq!(signals.count_after(&newest, |_| true), 0);
}
