//! The address of an agent, as people write it.

use std::fmt;
use std::str::FromStr;

use http::Uri;
use http::uri::Scheme;

/// Where an agent listens unless it is told otherwise.
const PORT: u16 = 8637;

/// An agent's address: host, port, and what stands before its own paths where a proxy leads to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Address {
    pub(super) host: String,
    pub(super) port: u16,
    pub(super) prefix: String,
}

impl FromStr for Address {
    type Err = String;

    /// Takes `HOST`, `HOST:PORT` and `http://HOST:PORT/PREFIX`. Without `http://` the port is 8637 unless it is given.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            "it is no address of an agent; write HOST:PORT or http://HOST:PORT, as http://127.0.0.1:8637".to_owned()
        };
        let (url, default_port) = if text.contains("://") {
            (text.to_owned(), 80)
        } else {
            (format!("http://{text}"), PORT)
        };
        let uri: Uri = url.parse().map_err(|_error| wrong())?;
        if uri.scheme() == Some(&Scheme::HTTPS) {
            return Err(
                "an agent speaks plain HTTP, so write http://; where only TLS leads to it, `kubectl port-forward` makes a way".to_owned(),
            );
        }
        let host = uri
            .host()
            .filter(|host| !host.is_empty())
            .ok_or_else(wrong)?;
        let authority = uri.authority().map_or("", |one| one.as_str());
        let has_user = authority.contains('@');
        let has_wrong_port = authority != host && uri.port_u16().is_none();
        let asks = uri.query().is_some();
        if uri.scheme() != Some(&Scheme::HTTP) || asks || has_user || has_wrong_port {
            return Err(wrong());
        }
        let port = uri.port_u16().unwrap_or(default_port);
        if port == 0 {
            return Err("port 0 is nobody's; write the port that the agent's log names".to_owned());
        }
        Ok(Self {
            host: host.trim_matches(['[', ']']).to_owned(),
            port,
            prefix: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl Address {
    /// `127.0.0.1:8637`, `[::1]:8637`.
    pub(super) fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority(), self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> String {
        match text.parse::<Address>() {
            Ok(address) => address.to_string(),
            Err(sentence) => sentence,
        }
    }

    #[test]
    fn what_people_write_is_understood() {
        assert_eq!(read("node-1"), "http://node-1:8637");
        assert_eq!(read("127.0.0.1:9000"), "http://127.0.0.1:9000");
        assert_eq!(read("[::1]:9000"), "http://[::1]:9000");
        assert_eq!(read("[::1]"), "http://[::1]:8637");
        assert_eq!(read("http://node-1:8637/"), "http://node-1:8637");
        assert_eq!(read("http://node-1"), "http://node-1:80");
        assert_eq!(
            read("http://127.0.0.1:8001/api/v1/namespaces/gracewatch/pods/agent:8637/proxy/"),
            "http://127.0.0.1:8001/api/v1/namespaces/gracewatch/pods/agent:8637/proxy"
        );
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_remedy() {
        for text in [
            "",
            "http://",
            "a b",
            "ftp://node",
            "node:",
            "node:99999",
            "http://u@node",
            "node?x=1",
            ":8637",
        ] {
            assert!(
                read(text).contains("write HOST:PORT"),
                "{text}: {}",
                read(text)
            );
        }
        assert!(read("https://node-1").contains("write http://"));
        assert!(read("node-1:0").contains("port 0"));
    }
}
