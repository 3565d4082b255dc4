//! What containerd's log says of each container that it ran.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context as _, Result};

/// One container, by containerd.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Logged {
    /// Whether it says that the container was started.
    pub started: bool,
    /// The timeouts in seconds of each call that stops it.
    pub timeouts: Vec<u64>,
    /// The signals by which it was asked to stop, as Go calls them.
    pub signals: Vec<String>,
    /// When it says that it will send the first of them, in nanoseconds since 1970.
    pub signal_at_ns: Option<u64>,
    /// Whether it was sent SIGKILL.
    pub killed: bool,
    /// When it says so.
    pub kill_at_ns: Option<u64>,
    pub exit: Option<Exit>,
}

/// The exit of its main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    pub pid: u32,
    /// As runtimes say it: 128 and the signal.
    pub status: i64,
    /// Nanoseconds since 1970.
    pub at_ns: u64,
}

/// Reads the log from this byte on; the containers by their id.
pub fn read(path: &Path, from: usize) -> Result<BTreeMap<String, Logged>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let bytes = bytes.get(from..).unwrap_or_default();
    Ok(parse(&String::from_utf8_lossy(bytes)))
}

fn parse(text: &str) -> BTreeMap<String, Logged> {
    let mut all = BTreeMap::new();
    for line in text.lines() {
        let line = line.replace("\\\"", "\"");
        if let Some(id) = quoted_after(&line, " returns container id \"") {
            all.insert(id.to_owned(), Logged::default());
            continue;
        }
        for (mark, take) in MARKS {
            if let Some(id) = quoted_after(&line, mark)
                && let Some(container) = all.get_mut(id)
            {
                take(container, &line);
            }
        }
    }
    all
}

/// Takes down what a line says of its container.
type Take = fn(&mut Logged, &str);

/// How a line begins that tells of a container, before its id; and what it says.
const MARKS: [(&str, Take); 5] = [
    ("msg=\"StartContainer for \"", |container, line| {
        container.started |= line.contains("returns successfully");
    }),
    ("msg=\"StopContainer for \"", |container, line| {
        let timeout = line.split(" with timeout ").nth(1);
        let timeout = timeout.and_then(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        container.timeouts.extend(timeout);
    }),
    ("msg=\"Stop container \"", |container, line| {
        let signal = line.split("with signal ").nth(1);
        container
            .signals
            .extend(signal.map(|name| name.trim_end_matches('"').to_owned()));
        container.signal_at_ns = container.signal_at_ns.or_else(|| parse_time(line));
    }),
    ("msg=\"Kill container \"", |container, line| {
        container.killed = true;
        container.kill_at_ns = container.kill_at_ns.or_else(|| parse_time(line));
    }),
    (
        "msg=\"received container exit event container_id:\"",
        |container, line| {
            container.exit = container.exit.or_else(|| parse_exit(line));
        },
    ),
];

/// Of the main process alone: those of exec'd ones have another id.
fn parse_exit(line: &str) -> Option<Exit> {
    let container =
        quoted_after(line, " container_id:\"").or_else(|| quoted_after(line, "container_id:\""))?;
    if quoted_after(line, " id:\"")? != container {
        return None;
    }
    let number = |mark: &str| -> Option<u64> {
        let rest = line.split(mark).nth(1)?;
        let end = rest.find(|digit: char| !digit.is_ascii_digit());
        rest.get(..end.unwrap_or(rest.len()))?.parse().ok()
    };
    // A status of 0 and no nanoseconds are left out, as protobuf has it.
    let at_ns = number("seconds:")? * 1_000_000_000 + number("nanos:").unwrap_or(0);
    Some(Exit {
        pid: u32::try_from(number(" pid:")?).ok()?,
        status: i64::try_from(number("exit_status:").unwrap_or(0)).ok()?,
        at_ns,
    })
}

/// When a line was written, in nanoseconds since 1970.
fn parse_time(line: &str) -> Option<u64> {
    let at: jiff::Timestamp = quoted_after(line, "time=\"")?.parse().ok()?;
    u64::try_from(at.as_nanosecond()).ok()
}

/// What stands between this mark and the next quotation mark.
fn quoted_after<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    let (_, rest) = line.split_once(mark)?;
    rest.split('"').next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_about_a_container_is_read() {
        let text = r#"
time="t" level=info msg="CreateContainer within sandbox \"aa\" for name:\"app\" returns container id \"bb\""
time="t" level=info msg="StartContainer for \"bb\""
time="t" level=info msg="StartContainer for \"bb\" returns successfully"
time="t" level=info msg="received container exit event container_id:\"bb\"  id:\"exec\"  pid:7  exited_at:{seconds:1  nanos:2}"
time="t" level=info msg="StopContainer for \"bb\" with timeout 3 (s)"
time="1970-01-01T00:00:04.000000007Z" level=info msg="Stop container \"bb\" with signal terminated"
time="t" level=info msg="Kill container \"bb\""
time="t" level=info msg="received container exit event container_id:\"bb\"  id:\"bb\"  pid:9  exit_status:137  exited_at:{seconds:5  nanos:6}"
time="t" level=info msg="Kill container \"aa\""
"#;
        let all = parse(text);
        assert_eq!(all.len(), 1);
        let expected = Logged {
            started: true,
            timeouts: vec![3],
            signals: vec!["terminated".to_owned()],
            signal_at_ns: Some(4_000_000_007),
            killed: true,
            kill_at_ns: None,
            exit: Some(Exit {
                pid: 9,
                status: 137,
                at_ns: 5_000_000_006,
            }),
        };
        assert_eq!(all.get("bb"), Some(&expected));
    }
}
