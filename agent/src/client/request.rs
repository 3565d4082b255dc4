//! One request over a connection of its own, bounded in time and size. hyper is what the agent's server is made of.

use std::io;
use std::time::Duration;

use http::{HeaderValue, Request, header};
use http_body_util::{BodyExt as _, Empty, LengthLimitError, Limited};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::{Address, ClientError};

/// How long an answer may take, in seconds.
const PATIENCE: u64 = 10;
/// Thousands of terminations have some kilobytes each.
const BYTES_MAX: usize = 64 << 20;

/// The body of what is answered.
pub(super) async fn get(address: &Address, path: &str) -> Result<Bytes, ClientError> {
    let patience = Duration::from_secs(PATIENCE);
    tokio::time::timeout(patience, send_request(address, path))
        .await
        .unwrap_or_else(|_elapsed| Err(ClientError::Slow(address.clone(), PATIENCE)))
}

async fn send_request(address: &Address, path: &str) -> Result<Bytes, ClientError> {
    let stream = TcpStream::connect((address.host.as_str(), address.port))
        .await
        .map_err(|error| {
            if error.kind() == io::ErrorKind::ConnectionRefused {
                ClientError::Refused(address.clone())
            } else {
                ClientError::Unreachable(address.clone(), error)
            }
        })?;
    let broken = |error: hyper::Error| broken(address, &error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
        .await
        .map_err(broken)?;
    let exchange = async {
        let response = sender
            .send_request(request(address, path)?)
            .await
            .map_err(broken)?;
        if response.status() != http::StatusCode::OK {
            return Err(ClientError::Status(address.clone(), response.status()));
        }
        let body = Limited::new(response.into_body(), BYTES_MAX)
            .collect()
            .await;
        body.map(http_body_util::Collected::to_bytes)
            .map_err(|error| {
                if error.is::<LengthLimitError>() {
                    ClientError::NoAgent(address.clone(), "more than 64 MiB")
                } else {
                    ClientError::Closed(address.clone())
                }
            })
    };
    // The connection moves the bytes; it ends when nobody waits for any more.
    tokio::pin!(exchange);
    tokio::select! {
        biased;
        answer = &mut exchange => answer,
        ended = connection => match ended {
            Ok(()) => exchange.await,
            Err(error) => Err(broken(error)),
        },
    }
}

fn request(address: &Address, path: &str) -> Result<Request<Empty<Bytes>>, ClientError> {
    let wrong =
        |_error| ClientError::NoAgent(address.clone(), "nothing: the address cannot be asked");
    let host = HeaderValue::from_str(&address.authority()).map_err(|error| wrong(error.into()))?;
    Request::get(format!("{}{path}", address.prefix))
        .header(header::HOST, host)
        .header(header::ACCEPT, HeaderValue::from_static("application/json"))
        .body(Empty::new())
        .map_err(wrong)
}

fn broken(address: &Address, error: &hyper::Error) -> ClientError {
    if error.is_parse() {
        ClientError::NoHttp(address.clone())
    } else {
        ClientError::Closed(address.clone())
    }
}
