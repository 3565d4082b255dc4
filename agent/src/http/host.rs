//! By which names the agent is asked on the loopback device. A web page whose own name was made to lead to 127.0.0.1 (DNS
//! rebinding) would be taken by the browser to be of one origin with the agent, and could read everything. Its requests still
//! have its name as their Host; who is on the machine, or comes through a tunnel, asks for `localhost` or an address.

use std::net::IpAddr;

use axum::http::uri::Authority;
use axum::http::{HeaderMap, Uri, header};

/// The sentence for whoever asks by another name.
pub(super) const REFUSAL: &str = "This agent answers on the loopback address to localhost and to IP addresses only; ask by one of them, or have the proxy send `Host: localhost`.\n";

/// Whether a request that came by the loopback device asks for a name of it, or for none as only programs do.
pub(super) fn is_local(uri: &Uri, headers: &HeaderMap) -> bool {
    let hosts = headers.get_all(header::HOST).iter();
    let mut named = hosts.map(|host| Authority::try_from(host.as_bytes()).ok());
    named.all(|authority| authority.as_ref().is_some_and(names_loopback))
        && uri.authority().is_none_or(names_loopback)
}

/// `localhost`, all names below it (RFC 6761, 6.3), and addresses: no name server is asked for them.
fn names_loopback(authority: &Authority) -> bool {
    let host = authority.host();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let name = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
    address.parse::<IpAddr>().is_ok() || name == "localhost" || name.ends_with(".localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_answered(hosts: &[&str], target: &str) -> bool {
        let mut headers = HeaderMap::new();
        for host in hosts {
            headers.append(header::HOST, host.parse().unwrap());
        }
        is_local(&target.parse().unwrap(), &headers)
    }

    #[test]
    fn addresses_and_localhost_are_answered() {
        for host in [
            "localhost",
            "LOCALHOST:8637",
            "localhost.",
            "node.localhost:1",
            "127.0.0.1",
            "127.0.0.1:8637",
            "10.0.0.7:8637",
            "[::1]:8637",
            "[::ffff:127.0.0.1]",
        ] {
            assert!(is_answered(&[host], "/"), "{host}");
        }
        assert!(is_answered(&[], "/"));
        assert!(is_answered(&["localhost"], "http://127.0.0.1:8637/"));
    }

    #[test]
    fn names_that_a_name_server_answers_for_are_not() {
        for host in [
            "attacker.example",
            "attacker.example:8637",
            "127.0.0.1.attacker.example",
            "localhost.attacker.example",
            "notlocalhost",
            "localhost@attacker.example",
            "2130706433",
            "0x7f.1",
            "",
            "attacker example",
        ] {
            assert!(!is_answered(&[host], "/"), "{host}");
        }
        assert!(!is_answered(&["localhost", "attacker.example"], "/"));
        assert!(!is_answered(&["localhost"], "http://attacker.example/"));
    }
}
