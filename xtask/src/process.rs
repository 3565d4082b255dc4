//! Running other programs: what runs is shown, what fails is named.

use std::io::{self, BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

/// Lines of failures that an error holds at most.
const FAILURES_MAX: usize = 60;

/// Runs `command` with its output on our terminal; an exit code other than 0 is an error that names it.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let line = describe(command);
    let status = command
        .status()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}");
    }
    Ok(())
}

/// How a line begins that tells of a stage that failed: `STAGE_FAILED` of `tests/src/harness/once_more.rs`.
pub(crate) const STAGE_FAILED: &str = "STAGE FAILED ";

/// Stages that failed and were set up once more, a line each.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FailedStages(pub(crate) Vec<String>);

impl FailedStages {
    /// Those that this text tells of.
    pub(crate) fn from_text(text: &str) -> Self {
        let lines = text
            .lines()
            .filter_map(|line| line.strip_prefix(STAGE_FAILED));
        Self(lines.map(str::to_owned).collect())
    }
}

/// Runs tests as [`run`] does, and gives the stages that failed but once; the error also holds the lines in which they told of failures, since what was printed is
/// far above by the time the error is read, or cut off.
pub(crate) fn run_tests(command: &mut Command) -> Result<FailedStages> {
    run_tests_to(command, &mut io::stdout())
}

fn run_tests_to(command: &mut Command, to: &mut impl Write) -> Result<FailedStages> {
    let line = describe(command);
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start `{line}`"))?;
    let printed = child.stdout.take().map(BufReader::new);
    let failures = printed.map_or_else(
        || Ok(Failures::default()),
        |lines| Failures::pass_on(lines, to),
    );
    let status = child.wait().with_context(|| format!("`{line}` was lost"))?;
    let failures = failures.with_context(|| format!("cannot show what `{line}` printed"))?;
    if !status.success() {
        bail!("`{line}` failed: {status}{}", failures.told.concat());
    }
    Ok(FailedStages::from_text(&failures.stages))
}

/// Lines that tell of failures.
#[derive(Debug, Default)]
struct Failures {
    /// Those that say so, and the indented ones after them.
    told: Vec<String>,
    /// Those of stages.
    stages: String,
}

impl Failures {
    /// Reads all lines and writes them to `to`.
    fn pass_on(lines: impl BufRead, to: &mut impl Write) -> io::Result<Self> {
        let mut failures = Self::default();
        let mut within = false;
        for line in lines.split(b'\n') {
            let line = line?;
            to.write_all(&line)?;
            to.write_all(b"\n")?;
            failures.read_line(&String::from_utf8_lossy(&line), &mut within);
        }
        Ok(failures)
    }

    fn read_line(&mut self, line: &str, within: &mut bool) {
        if line.starts_with(STAGE_FAILED) {
            self.stages.push_str(line);
            self.stages.push('\n');
        }
        let says_so = line.contains("FAILED") || line.contains("WRONG");
        *within = says_so || *within && line.starts_with("    ");
        if *within && self.told.len() < FAILURES_MAX {
            self.told.push(format!("\n{line}"));
        }
    }
}

/// Runs `command` quietly and returns what it printed; on failure the error holds its standard error.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let line = describe(command);
    let output = command
        .output()
        .with_context(|| format!("cannot start `{line}`"))?;
    if !output.status.success() {
        bail!(
            "`{line}` failed: {}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Whether a program of this name is on the PATH and answers `--version`.
pub(crate) fn exists(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// The line of a program's error output that says what is wrong: the last that is marked as an
/// error, else the last.
pub(crate) fn error_line(error: &anyhow::Error) -> String {
    let text = format!("{error:#}");
    let lines = || text.lines().map(str::trim);
    let marked = lines().rfind(|line| line.starts_with("E: ") || line.starts_with("error: "));
    let line = marked.or_else(|| lines().rfind(|line| !line.is_empty()));
    line.unwrap_or_default().to_owned()
}

fn describe(command: &Command) -> String {
    let mut words = vec![command.get_program().to_string_lossy().into_owned()];
    words.extend(
        command
            .get_args()
            .map(|arg| arg.to_string_lossy().into_owned()),
    );
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_marked_line_of_an_error_is_found() {
        let apt = anyhow::anyhow!(
            "`apt-get` failed: exit status: 100\nE: Unable to locate package x\n\n"
        );
        assert_eq!(error_line(&apt), "E: Unable to locate package x");
        let rustup =
            anyhow::anyhow!("failed\ninfo: syncing\nerror: no such release\nnote: see above");
        assert_eq!(error_line(&rustup), "error: no such release");
        assert_eq!(
            error_line(&anyhow::anyhow!("cannot start `x`")),
            "cannot start `x`"
        );
    }

    #[test]
    fn failures_are_told_again() {
        let printed = "\
scenario a ... ok 1.0 s
    a remark
scenario b ... FAILED 2.0 s
    outcome: Graceful, but it was Unknown
scenario c ... ok 1.0 s
    WRONG: one more
";
        let failures = Failures::pass_on(printed.as_bytes(), &mut io::sink()).unwrap();
        let told = [
            "\nscenario b ... FAILED 2.0 s",
            "\n    outcome: Graceful, but it was Unknown",
            "\n    WRONG: one more",
        ];
        assert_eq!(failures.told, told);
    }

    #[test]
    fn an_error_of_tests_holds_their_failures() {
        let script = |end: &str| {
            let mut command = Command::new("sh");
            command.args([
                "-c",
                &format!("echo 'x ... FAILED'; echo '    why'; exit {end}"),
            ]);
            command
        };
        let mut shown = Vec::new();
        let error = run_tests_to(&mut script("3"), &mut shown).unwrap_err();
        let error = error.to_string();
        assert!(error.ends_with("\nx ... FAILED\n    why"), "{error}");
        assert_eq!(shown, b"x ... FAILED\n    why\n");
        run_tests_to(&mut script("0"), &mut shown).unwrap();
    }

    #[test]
    fn stages_that_failed_are_counted_where_all_passed() {
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo; echo 'STAGE FAILED x: late; ok'; echo '  | STAGE FAILED y'",
        ]);
        let stages = run_tests_to(&mut command, &mut io::sink()).unwrap();
        assert_eq!(stages, FailedStages(vec!["x: late; ok".to_owned()]));
    }
}
