//! What the guest says on its serial console, one line each, found again among the kernel's own chatter:
//!
//! ```text
//! VM-FACT key=value
//! VM-PROGRAM name=… required=yes|no loaded=yes|no attached=yes|no reason=…
//! VM-SCENARIO name=… result=ok|failed detail=…
//! VM-STAGE name=… detail=…
//! TEST_RC=n
//! ```
//!
//! `reason` and `detail` take the rest of the line and may be left out. A line of ours that cannot be read is kept as
//! `garbled` and fails the run: the kernel writing into the middle of a line must never lose a result unnoticed.

/// What gives away a line of ours that was cut short.
const STEMS: [&str; 4] = ["VM-F", "VM-P", "VM-S", "TEST_RC"];

/// Everything one guest said.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// Key and value, in the order told.
    pub(crate) facts: Vec<(String, String)>,
    pub(crate) programs: Vec<Program>,
    pub(crate) scenarios: Vec<Scenario>,
    /// Scenarios whose stage failed, each time that it did: names and why.
    pub(crate) failed_stages: Vec<(String, String)>,
    /// The guest's exit code; `None` when it never came to its end.
    pub(crate) exit_code: Option<i32>,
    /// Lines that began as ours and could not be read.
    pub(crate) garbled: Vec<String>,
}

/// How far an eBPF program came on this kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Program {
    pub(crate) name: String,
    pub(crate) required: bool,
    pub(crate) loaded: bool,
    pub(crate) attached: bool,
    pub(crate) reason: String,
}

/// How a scenario ended on this kernel.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Scenario {
    pub(crate) name: String,
    pub(crate) ok: bool,
    pub(crate) detail: String,
}

impl Report {
    /// Reads a whole console log.
    pub(crate) fn parse(console: &str) -> Self {
        let mut report = Self::default();
        for line in console.lines() {
            if report.read(line).is_none() {
                report.garbled.push(line.trim_end().to_owned());
            }
        }
        report
    }

    /// What was said of the program of this name.
    pub(crate) fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name == name)
    }

    /// What was said of the scenario of this name.
    pub(crate) fn scenario(&self, name: &str) -> Option<&Scenario> {
        self.scenarios.iter().find(|scenario| scenario.name == name)
    }

    /// Takes one line in; `None` when it is ours but broken.
    fn read(&mut self, line: &str) -> Option<()> {
        if let Some(code) = text_after(line, "TEST_RC=") {
            self.exit_code = Some(code.parse().ok()?);
        } else if let Some(rest) = text_after(line, "VM-FACT ") {
            let (key, value) = rest.split_once('=')?;
            self.facts.push((key.to_owned(), value.to_owned()));
        } else if let Some(rest) = text_after(line, "VM-PROGRAM ") {
            self.programs.push(Program::parse(rest)?);
        } else if let Some(rest) = text_after(line, "VM-SCENARIO ") {
            self.scenarios.push(Scenario::parse(rest)?);
        } else if let Some(mut text) = text_after(line, "VM-STAGE ") {
            let name = take_word(&mut text, "name")?.to_owned();
            self.failed_stages
                .push((name, rest_of_line(text, "detail")?));
        } else if STEMS.iter().any(|stem| line.contains(stem)) {
            return None;
        }
        Some(())
    }
}

impl Program {
    fn parse(mut text: &str) -> Option<Self> {
        Some(Self {
            name: take_word(&mut text, "name")?.to_owned(),
            required: choice(&mut text, "required", "yes", "no")?,
            loaded: choice(&mut text, "loaded", "yes", "no")?,
            attached: choice(&mut text, "attached", "yes", "no")?,
            reason: rest_of_line(text, "reason")?,
        })
    }
}

impl Scenario {
    fn parse(mut text: &str) -> Option<Self> {
        Some(Self {
            name: take_word(&mut text, "name")?.to_owned(),
            ok: choice(&mut text, "result", "ok", "failed")?,
            detail: rest_of_line(text, "detail")?,
        })
    }
}

/// What follows `mark`, wherever in the line it stands (kernel output may precede it without a line break).
fn text_after<'a>(line: &'a str, mark: &str) -> Option<&'a str> {
    line.split_once(mark).map(|(_, rest)| rest.trim_end())
}

/// Takes `key=WORD` and one space off the front of `text`.
fn take_word<'a>(text: &mut &'a str, key: &str) -> Option<&'a str> {
    let value = text.strip_prefix(key)?.strip_prefix('=')?;
    let (word, rest) = value.split_once(' ').unwrap_or((value, ""));
    *text = rest;
    (!word.is_empty()).then_some(word)
}

fn choice(text: &mut &str, key: &str, yes: &str, no: &str) -> Option<bool> {
    let word = take_word(text, key)?;
    (word == yes || word == no).then_some(word == yes)
}

fn rest_of_line(text: &str, key: &str) -> Option<String> {
    if text.is_empty() {
        return Some(String::new());
    }
    text.strip_prefix(key)?.strip_prefix('=').map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_console_is_read() {
        let report = Report::parse(
            "[    0.9] some driver\r\n\
             VM-FACT release=6.1.0-50-cloud-amd64\r\n\
             VM-PROGRAM name=signal_generate required=yes loaded=yes attached=yes\r\n\
             VM-PROGRAM name=tcp_send_reset required=no loaded=yes attached=no reason=no such tracepoint: tcp\r\n\
             VM-SCENARIO name=handled_stop result=ok detail=stop 12 ms, exit code 0\r\n\
             VM-SCENARIO name=ignored_stop result=failed detail=\r\n\
             VM-STAGE name=slow_stop detail=no process\r\n\
             TEST_RC=1\r\n\
             [    5.1] reboot: Power down\r\n",
        );
        assert_eq!(
            report.facts,
            [("release".to_owned(), "6.1.0-50-cloud-amd64".to_owned())]
        );
        assert_eq!(report.programs[0].reason, "");
        assert_eq!(report.programs[1].reason, "no such tracepoint: tcp");
        assert!(
            report.programs[1].loaded
                && !report.programs[1].attached
                && !report.programs[1].required
        );
        assert_eq!(report.scenarios[0].detail, "stop 12 ms, exit code 0");
        assert!(!report.scenarios[1].ok);
        let stage = ("slow_stop".to_owned(), "no process".to_owned());
        assert_eq!(report.failed_stages, [stage]);
        assert_eq!((report.exit_code, report.garbled.len()), (Some(1), 0));
    }

    #[test]
    fn kernel_output_before_our_line_does_not_hide_it() {
        let report = Report::parse(
            "[    1.0] random: crng init doneVM-SCENARIO name=a result=ok\n[  2.0] xTEST_RC=0\n",
        );
        assert_eq!((report.scenarios.len(), report.exit_code), (1, Some(0)));
    }

    #[test]
    fn a_line_the_kernel_wrote_into_is_garbled_and_not_lost() {
        for line in [
            "VM-SCENARIO name=a resu[    1.0] oops",
            "VM-PROGRAM name=a required=maybe loaded=yes attached=yes",
            "VM-PROGRAM name= required=yes loaded=yes attached=yes",
            "VM-SCENARIO name=a result=ok [    1.0] oops",
            "VM-SCEN[    1.0] oops",
            "VM-STAGE name=",
            "VM-FACT release",
            "TEST_RC=[    1.0] oops",
        ] {
            let report = Report::parse(line);
            assert_eq!(report.garbled, [line]);
            assert_eq!(report.exit_code, None);
        }
    }

    #[test]
    fn a_guest_that_never_ends_has_no_exit_code() {
        assert_eq!(
            Report::parse("VM-FACT a=b\nKernel panic - not syncing\n").exit_code,
            None
        );
    }
}
