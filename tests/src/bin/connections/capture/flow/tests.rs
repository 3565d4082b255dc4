use std::time::Duration;

use super::*;

const SERVER: &str = "192.0.2.2:8080";
const CLIENT: &str = "192.0.2.1:40000";
/// T0 and the stop signal are at 100, the exit is at 200.
const EDGES: Edges = Edges {
    hook: Timestamp(100),
    stopping: Timestamp(100),
    closing: Timestamp(200),
    slack: Duration::ZERO,
};

/// Segments as `TIME SIDE FLAGS`: `c` or `s`, and the letters of tcpdump. A SYN of the client has its time for a number.
fn observe(segments: &[&str], edges: Edges) -> Observed {
    let packets: Vec<_> = segments
        .iter()
        .map(|segment| {
            let [at, side, flags] = segment.split(' ').collect::<Vec<_>>()[..] else {
                panic!("not a segment: {segment}");
            };
            let at = at.parse().unwrap();
            let (from, to) = match side {
                "c" => (CLIENT, SERVER),
                _ => (SERVER, CLIENT),
            };
            Packet {
                at: Timestamp(at),
                from: from.parse().unwrap(),
                to: to.parse().unwrap(),
                syn: flags.contains('S'),
                ack: flags.contains('.'),
                fin: flags.contains('F'),
                rst: flags.contains('R'),
                sequence: u32::try_from(at).unwrap(),
            }
        })
        .collect();
    let server: SocketAddr = SERVER.parse().unwrap();
    Flows::from_packets(&packets, |address| address == server).observed(edges)
}

#[test]
fn a_refused_attempt_is_no_connection() {
    let observed = observe(&["150 c S", "151 s R."], EDGES);
    assert_eq!((observed.sent, observed.refused), (1, 1));
    assert_eq!(observed.connections_reset, Range::exactly(0));
    assert_eq!(observed.accepted_after, Range::exactly(0));
    assert_eq!(observed.last_arrival_at, Some(Timestamp(151)));
}

#[test]
fn a_connection_is_open_from_the_clients_ack_to_the_first_fin() {
    let open = ["10 c S", "11 s S.", "12 c .", "150 s F.", "151 c F."];
    let observed = observe(&open, EDGES);
    assert_eq!(observed.at_stop_signal, Range::exactly(1));
    assert_eq!(observed.at_exit, Range::exactly(0));
    assert_eq!(observed.finished, Range::exactly(1));
    assert_eq!((observed.sent, observed.received), (0, 0));
}

#[test]
fn near_an_edge_it_may_count_on_either_side() {
    let slack = Duration::from_nanos(5);
    let near = ["90 c S", "91 s S.", "97 c .", "250 c R."];
    let observed = observe(&near, Edges { slack, ..EDGES });
    assert_eq!(
        (observed.at_stop_signal.least, observed.at_stop_signal.most),
        (0, 1)
    );
    assert_eq!(observed.at_exit, Range::exactly(1));
    assert_eq!(observed.received, 1);
    assert_eq!(
        observed.resets(Phase::Closing, Direction::Received),
        Range::exactly(1)
    );
}

/// The SYN meets TIME_WAIT, whose ACK the client resets; then it comes again.
#[test]
fn a_reset_of_an_old_connection_resets_nothing() {
    let again = [
        "150 c S", "151 s .", "152 c R", "153 c S", "154 s S.", "155 c .",
    ];
    let observed = observe(&again, EDGES);
    assert_eq!((observed.received, observed.of_old), (0, 1));
    assert_eq!(observed.accepted_after, Range::exactly(1));
}

/// The listener is closed between SYN-ACK and ACK.
#[test]
fn a_handshake_that_is_completed_too_late_is_not_accepted() {
    let observed = observe(&["150 c S", "151 s S.", "152 c .", "153 s R"], EDGES);
    assert_eq!((observed.sent, observed.too_late), (1, 1));
    assert_eq!(observed.accepted_after, Range::exactly(0));
    assert_eq!(observed.refused, 0);
    let active = observe(&["150 c S", "151 s S.", "152 c .", "153 s R."], EDGES);
    assert_eq!(active.accepted_after, Range::exactly(1));
}
