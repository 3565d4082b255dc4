//! Whether a command line is the configured preStop hook's.

use crate::command_line::{CommandLine, file_name, split_arguments};

/// Whether a process with the command line `argv` runs `command`.
///
/// The kernel puts the interpreter of a script and at most one argument of its `#!` line in front, and the path that was
/// executed in the place of the script's name: `["stop.sh", "now"]` becomes `["/bin/sh", "-e", "/usr/bin/stop.sh", "now"]`.
/// `load_script`: <https://github.com/torvalds/linux/blob/v6.12/fs/binfmt_script.c#L34>.
///
/// `cut` says that `argv` is only the beginning of the command line: then the beginning has to agree.
pub(crate) fn matches(command: &[String], argv: &CommandLine, cut: bool) -> bool {
    if agrees(command, argv.text(), cut) {
        return true;
    }
    let Some((name, arguments)) = command.split_first() else {
        return false;
    };
    let interpreted = argv.text().split_once('\0');
    let with_option = interpreted.and_then(|(_, rest)| rest.split_once('\0'));
    [interpreted, with_option]
        .into_iter()
        .flatten()
        .any(|(_, rest)| {
            let script = rest.split_once('\0');
            script.is_some_and(|(script, rest)| {
                is_path_of(script, name) && agrees(arguments, rest, cut)
            })
        })
}

/// Whether these words are those of a text in which each has a NUL byte after it.
fn agrees(want: &[String], text: &str, cut: bool) -> bool {
    if !cut {
        return split_arguments(text).eq(want.iter().map(String::as_str));
    }
    // A cut inside a character leaves a replacement character.
    let beginning = text.strip_suffix('\0').unwrap_or(text);
    let beginning = beginning.trim_end_matches(char::REPLACEMENT_CHARACTER);
    !text.is_empty() && want.join("\0").starts_with(beginning)
}

/// A name without a slash is looked up in `PATH`.
fn is_path_of(path: &str, name: &str) -> bool {
    path == name || (!name.contains('/') && file_name(path) == Some(name))
}

#[cfg(test)]
mod tests {
    use crate::command_line::CommandLine;
    use crate::purse::Purses;

    fn split_words(text: &str) -> Vec<String> {
        text.split(' ').map(str::to_owned).collect()
    }

    fn matches(command: &[String], argv: &[String], cut: bool) -> bool {
        let argv = CommandLine::new(argv, &Purses::default().get_or_create_purse("/")).unwrap();
        super::matches(command, &argv, cut)
    }

    fn is_same_command(command: &str, argv: &str) -> bool {
        matches(&split_words(command), &split_words(argv), false)
    }

    #[test]
    fn a_command_is_itself_and_nothing_else() {
        assert!(is_same_command("/bin/sh -c stop", "/bin/sh -c stop"));
        assert!(!is_same_command("/bin/sh -c stop", "/bin/sh -c probe"));
        assert!(!is_same_command("/bin/sh -c stop", "/bin/sh -c"));
        assert!(!is_same_command("sleep 10", "sleep 100"));
        assert!(!matches(&split_words("sleep 10"), &[], false));
        assert!(!matches(&split_words("sleep 10"), &[], true));
    }

    #[test]
    fn a_script_shows_up_behind_its_interpreter() {
        assert!(is_same_command("/stop.sh now", "/bin/sh /stop.sh now"));
        assert!(is_same_command("/stop.sh now", "/bin/sh -e /stop.sh now"));
        assert!(is_same_command(
            "stop.sh now",
            "/bin/sh /usr/bin/stop.sh now"
        ));
        assert!(!is_same_command(
            "/stop.sh now",
            "/bin/sh /other/stop.sh now"
        ));
        assert!(!is_same_command("/stop.sh now", "/bin/sh /stop.sh later"));
        assert!(!is_same_command(
            "/stop.sh now",
            "/bin/sh -e -x /stop.sh now"
        ));
    }

    #[test]
    fn a_cut_command_line_agrees_by_its_beginning() {
        assert!(matches(
            &split_words("/bin/sh -c abcdefgh"),
            &split_words("/bin/sh -c abc"),
            true
        ));
        assert!(matches(
            &split_words("/bin/sh -c abcö"),
            &split_words("/bin/sh -c abc\u{fffd}"),
            true
        ));
        assert!(!matches(
            &split_words("/bin/sh -c abcdefgh"),
            &split_words("/bin/sh -c abd"),
            true
        ));
        assert!(!matches(
            &split_words("/bin/sh -c abc"),
            &split_words("/bin/sh -c abcdefgh"),
            true
        ));
    }
}
