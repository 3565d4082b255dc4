//! A client that connects again and again. It prints a line for each attempt: `BEGAN ENDED ok NAME`, with the name that the
//! server answered, or `BEGAN ENDED FATE -`.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use agent_core::time::Timestamp;
use anyhow::Result;
use gracewatch_tests::rig::clock;

use crate::fate;

/// For as long it waits for an answer, to connecting and to the request.
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// To where.
    #[arg(long)]
    to: SocketAddr,
    /// Milliseconds between an end and the next beginning.
    #[arg(long, default_value_t = 20)]
    pause: u64,
    /// Begin no attempt after this moment of the boot clock, in nanoseconds.
    #[arg(long)]
    until: u64,
    /// Nor later than so many milliseconds after the first one that was refused.
    #[arg(long)]
    after_refusal: Option<u64>,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    let mut log = io::stdout().lock();
    let mut until = Timestamp(args.until);
    let mut after_refusal = args.after_refusal.map(Duration::from_millis);
    loop {
        let began_at = clock::now();
        if began_at > until {
            return Ok(());
        }
        let (fate, name) = match attempt(args.to) {
            Ok(name) => ("ok", name),
            Err(error) => (fate::error_name(&error), "-".to_owned()),
        };
        let ended_at = clock::now();
        writeln!(log, "{} {} {fate} {name}", began_at.0, ended_at.0)?;
        if fate == fate::REFUSED
            && let Some(after) = after_refusal.take()
        {
            until = until.min(ended_at.after(after));
        }
        thread::sleep(Duration::from_millis(args.pause));
    }
}

/// One request on a connection of its own; the server's name.
fn attempt(to: SocketAddr) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&to, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    (&stream).write_all(b"who\n")?;
    let mut name = String::new();
    if BufReader::new(&stream).read_line(&mut name)? == 0 {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    Ok(name.trim_end().to_owned())
}
