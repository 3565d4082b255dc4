//! What is done with a container, in the words of a row: `send QUIT`, `after 5s send KILL`, `exec kill 1`.

use std::str::FromStr;
use std::time::Duration;

use agent_core::signal::Signal;
use anyhow::{Context as _, Error, Result, bail, ensure};

/// One step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Step {
    /// How long after the step before it is done.
    pub(crate) after: Option<Duration>,
    pub(crate) act: Act,
}

/// What is done.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Act {
    /// `wait ready`: until the program is ready, is no longer at its very start, and the agent watches it.
    Ready,
    /// `wait watched`: until the agent watches it, however new it is.
    Watched,
    /// `wait exit [5s]`: until the main process has ended.
    WaitExit(Duration),
    /// `wait hook [5s]`: until the hook has ended.
    WaitHook(Duration),
    /// `wait for CONDITION`: until it holds, as in `ready`.
    WaitFor(String),
    /// `pause`: nothing, where only the time counts.
    Pause,
    /// `send SIGNAL [to COMM] [by NAME] [N times] [if there]`.
    Send(Send),
    /// `stop 5s [with SIGNAL]`: the stop signal and, if the program has not ended by then, SIGKILL.
    Stop(Duration, Signal),
    /// `exec WORDS`: a command enters the container, as `kubectl exec` makes it, and is waited for.
    Exec(Vec<String>),
    /// `start WORDS`: the same, and it goes on.
    Start(Vec<String>),
    /// `execs N WORDS`: so many at once, which go on.
    Execs(u32, Vec<String>),
    /// `hook`: the configured hook begins.
    Hook,
    /// `hook fails`, `hook fails to fork`, `hook fails to take 64 MiB`: the runtime's process enters the container, and cannot run
    /// the hook.
    HookFails(Effort),
    /// `client WORDS`: a command in the network of the container, but not in the container; it goes on.
    Client(Vec<String>),
    /// `enter WORDS`: a new main process in the same cgroup.
    Enter(Vec<String>),
    /// `freeze` and `thaw`.
    Freeze(bool),
    /// `kill cgroup`: by cgroup.kill.
    KillCgroup,
    /// `agent stops`, `agent goes on`: by SIGSTOP and SIGCONT.
    AgentStops(bool),
    /// `parents stop`, `parents go on`: those of all processes that entered stop waiting for them, by SIGSTOP and SIGCONT.
    ParentsStop(bool),
}

/// What the runtime's process needs before it can run a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Effort {
    None,
    Fork,
    Mebibytes(u32),
}

/// A signal from outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Send {
    pub(crate) signal: Signal,
    /// The `comm` of the process that gets it; the main process if none is named.
    pub(crate) to: Option<String>,
    /// The name of the process that sends it.
    pub(crate) by: String,
    pub(crate) times: u32,
    /// Whether it may be gone by then.
    pub(crate) if_there: bool,
}

/// How long a wait without a time takes at most.
const WAIT_MAX: Duration = Duration::from_secs(30);
/// Who sends signals, unless a step names another one.
const SENDER: &str = "runc";

impl Step {
    /// How long it takes, by a guess that suffices to order rows.
    pub(crate) fn duration(&self) -> Duration {
        let act = match &self.act {
            Act::WaitExit(limit) | Act::WaitHook(limit) if *limit > WAIT_MAX => *limit,
            Act::Stop(grace, _) => *grace,
            Act::Ready
            | Act::Watched
            | Act::WaitExit(_)
            | Act::WaitHook(_)
            | Act::WaitFor(_)
            | Act::Pause
            | Act::Send(_)
            | Act::Exec(_)
            | Act::Start(_)
            | Act::Execs(..)
            | Act::Hook
            | Act::HookFails(_)
            | Act::Client(_)
            | Act::Enter(_)
            | Act::Freeze(_)
            | Act::KillCgroup
            | Act::AgentStops(_)
            | Act::ParentsStop(_) => Duration::ZERO,
        };
        self.after.unwrap_or_default() + act
    }
}

impl FromStr for Step {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words = split_words(text)?;
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let (after, rest) = match words.as_slice() {
            ["after", time, rest @ ..] => (Some(duration(time)?), rest),
            rest => (None, rest),
        };
        Ok(Self {
            after,
            act: parse_act(rest)?,
        })
    }
}

fn parse_act(words: &[&str]) -> Result<Act> {
    let owned = |words: &[&str]| -> Result<Vec<String>> {
        ensure!(!words.is_empty(), "which command?");
        Ok(words.iter().map(|&word| word.to_owned()).collect())
    };
    let limit = |rest: &[&str]| rest.first().map_or(Ok(WAIT_MAX), |time| duration(time));
    Ok(match words {
        ["wait", "ready"] => Act::Ready,
        ["wait", "watched"] => Act::Watched,
        ["wait", "exit", rest @ ..] => Act::WaitExit(limit(rest)?),
        ["wait", "hook", rest @ ..] => Act::WaitHook(limit(rest)?),
        ["wait", "for", rest @ ..] => Act::WaitFor(rest.join(" ")),
        ["pause"] => Act::Pause,
        ["send", signal, rest @ ..] => Act::Send(parse_send(signal, rest)?),
        ["stop", grace] => Act::Stop(duration(grace)?, Signal::TERM),
        ["stop", grace, "with", signal] => Act::Stop(duration(grace)?, signal.parse()?),
        ["exec", rest @ ..] => Act::Exec(owned(rest)?),
        ["start", rest @ ..] => Act::Start(owned(rest)?),
        ["execs", count, rest @ ..] => Act::Execs(count.parse()?, owned(rest)?),
        ["hook"] => Act::Hook,
        ["hook", "fails"] => Act::HookFails(Effort::None),
        ["hook", "fails", "to", "fork"] => Act::HookFails(Effort::Fork),
        ["hook", "fails", "to", "take", mebibytes, "MiB"] => {
            Act::HookFails(Effort::Mebibytes(mebibytes.parse()?))
        }
        ["client", rest @ ..] => Act::Client(owned(rest)?),
        ["enter", rest @ ..] => Act::Enter(owned(rest)?),
        ["freeze"] => Act::Freeze(true),
        ["thaw"] => Act::Freeze(false),
        ["kill", "cgroup"] => Act::KillCgroup,
        ["agent", "stops"] => Act::AgentStops(true),
        ["agent", "goes", "on"] => Act::AgentStops(false),
        ["parents", "stop"] => Act::ParentsStop(true),
        ["parents", "go", "on"] => Act::ParentsStop(false),
        other => bail!("there is no step `{}`", other.join(" ")),
    })
}

fn parse_send(signal: &str, mut rest: &[&str]) -> Result<Send> {
    let mut send = Send {
        signal: signal.parse()?,
        to: None,
        by: SENDER.to_owned(),
        times: 1,
        if_there: false,
    };
    while !rest.is_empty() {
        rest = match rest {
            ["to", comm, rest @ ..] => {
                send.to = Some((*comm).to_owned());
                rest
            }
            ["by", name, rest @ ..] => {
                (*name).clone_into(&mut send.by);
                rest
            }
            [times, "times", rest @ ..] => {
                send.times = times.parse()?;
                rest
            }
            ["if", "there", rest @ ..] => {
                send.if_there = true;
                rest
            }
            other => bail!("`{}` is not understood", other.join(" ")),
        };
    }
    Ok(send)
}

/// `5s`, `1.5s`, `200ms`.
pub(crate) fn duration(text: &str) -> Result<Duration> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 1e-3),
        None => (text.strip_suffix('s').unwrap_or_default(), 1.0),
    };
    let number: f64 = number
        .parse()
        .with_context(|| format!("`{text}` is no time; write `5s` or `200ms`"))?;
    Ok(Duration::try_from_secs_f64(number * unit)?)
}

/// The words of a line; what stands between single quotes is one.
fn split_words(text: &str) -> Result<Vec<String>> {
    let mut words = Vec::new();
    for (number, part) in text.split('\'').enumerate() {
        if number % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    ensure!(
        text.matches('\'').count().is_multiple_of(2),
        "a quote is not closed"
    );
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn act_of(text: &str) -> Act {
        text.parse::<Step>().unwrap().act
    }

    #[test]
    fn a_step_has_a_time_and_words() {
        let step: Step = "after 1.5s send QUIT to node by systemd 3 times if there"
            .parse()
            .unwrap();
        assert_eq!(step.after, Some(Duration::from_millis(1500)));
        let send = Send {
            signal: "QUIT".parse().unwrap(),
            to: Some("node".to_owned()),
            by: "systemd".to_owned(),
            times: 3,
            if_there: true,
        };
        assert_eq!(step.act, Act::Send(send));
    }

    #[test]
    fn quotes_keep_words_together() {
        let words = ["sh", "-c", "kill -9 1"].map(str::to_owned).to_vec();
        assert_eq!(act_of("exec sh -c 'kill -9 1'"), Act::Exec(words));
    }

    #[test]
    fn what_is_no_step_is_refused() {
        for text in [
            "",
            "sing",
            "send",
            "send TEA",
            "after 5 pause",
            "exec",
            "exec 'a",
        ] {
            assert!(text.parse::<Step>().is_err(), "{text}");
        }
    }
}
