//! The kernel's reasons for a reset, in words.

/// A reason with its meaning, where it has one: `closed while data was unread (tcp_abort_on_close)`.
pub(crate) fn describe_reason(reason: &str) -> String {
    match reason_meaning(reason) {
        Some(gloss) => format!("{gloss} ({reason})"),
        None => reason.to_owned(),
    }
}

/// What a reason means to whoever runs the program; none for one that says nothing in itself or is not known here.
///
/// <https://github.com/torvalds/linux/blob/v6.12/include/net/rstreason.h>. `tcp_state` is of all that is disconnected at once:
/// `tcp_disconnect` in <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp.c>. `tcp_flags` is that of a packet that nothing
/// but the listener takes: `tcp_rcv_state_process` in <https://github.com/torvalds/linux/blob/v6.12/net/ipv4/tcp_input.c>.
fn reason_meaning(reason: &str) -> Option<&'static str> {
    Some(match reason {
        "no_socket" => "nothing listens there, or the connection is no more",
        "tcp_abort_on_close" => "closed while data was unread",
        "tcp_abort_on_data" => "data came after it was closed",
        "tcp_abort_on_linger" => "closed with TCP_LINGER2 below 0",
        "tcp_abort_on_memory" => "closed, and TCP had no memory to end it well",
        "tcp_state" => "in the accept queue when the listener was closed, or aborted (SO_LINGER 0)",
        "tcp_disconnect_with_data" => "disconnected while data was unsent",
        "tcp_keepalive_timeout" => "the peer did not answer in time",
        "tcp_timewait_socket" => "a packet for a connection that had ended",
        "invalid_syn" => "a SYN inside of a connection",
        "tcp_invalid_ack_sequence"
        | "tcp_too_old_ack"
        | "tcp_ack_unsent_data"
        | "tcp_old_ack"
        | "tcp_rfc7323_paws" => "a packet that does not fit the connection",
        "tcp_flags" => "the connection is no more, while something listens there",
        "not_specified" => "the kernel gives no reason",
        _ => return None,
    })
}
