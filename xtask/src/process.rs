//! Running other programs: what runs is shown, what fails is named.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

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
    use super::error_line;

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
}
