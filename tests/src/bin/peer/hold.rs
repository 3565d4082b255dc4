//! A client that keeps connections open. It prints `held` once all are open and answered, then for each `AT FATE ADDRESS`
//! when it ended: `ended` by the server, or `reset`.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use anyhow::{Context as _, Result};
use gracewatch_tests::rig::clock;

use crate::fate;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// To where; more than once to more than one.
    #[arg(long, required = true)]
    to: Vec<SocketAddr>,
    /// How many connections to each.
    #[arg(long, default_value_t = 1)]
    each: usize,
    /// Send a second request at once, which a deaf server leaves unread.
    #[arg(long)]
    more: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut open = Vec::new();
    for to in &args.to {
        for _connection in 0..args.each {
            let stream =
                connect_and_ask(*to, args.more).with_context(|| format!("no answer by {to}"))?;
            open.push((*to, stream));
        }
    }
    println!("held");
    let ends: Vec<_> = open
        .into_iter()
        .map(|(to, stream)| {
            thread::spawn(move || {
                let fate = wait_for_end(stream);
                println!("{} {fate} {to}", clock::now().0);
            })
        })
        .collect();
    for end in ends {
        end.join().ok().context("a thread panicked")?;
    }
    Ok(())
}

/// Connects, and waits for the answer to one request.
fn connect_and_ask(to: SocketAddr, more: bool) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(to)?;
    stream.write_all(b"who\n")?;
    let mut name = String::new();
    BufReader::new(&stream).read_line(&mut name)?;
    if more {
        stream.write_all(b"and then\n")?;
    }
    Ok(stream)
}

/// Waits for the connection's end.
fn wait_for_end(mut stream: TcpStream) -> &'static str {
    let mut rest = Vec::new();
    match stream.read_to_end(&mut rest) {
        Ok(_length) => "ended",
        Err(error) => fate::error_name(&error),
    }
}
