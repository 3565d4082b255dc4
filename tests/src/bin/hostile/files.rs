//! Files that options name: what is no file is refused at once, and the journal is readable by its owner alone.

use std::fs::{self, Permissions, metadata};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, chown, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context as _, Result};
use gracewatch_tests::rig::toolbox::Toolbox;
use gracewatch_tests::whole::{self, Whole};
use rustix::fs::{CWD, FileType, Mode, mknodat};

use crate::asked::{gracewatch, run_limited};
use crate::cases::Case;
use crate::told::Told;

pub(crate) const ALL: [Case; 4] = [
    Case {
        name: "NoFiles",
        play: no_files,
    },
    Case {
        name: "NoFilesInKubeconfig",
        play: no_files_in_kubeconfig,
    },
    Case {
        name: "ForeignJournals",
        play: foreign_journals,
    },
    Case {
        name: "OpenJournals",
        play: open_journals,
    },
];

/// More than any refusal takes: who is not done by then waits.
const LIMIT: Duration = Duration::from_secs(4);
/// What `run` is told so that it measures next to nothing.
const QUIET: [&str; 5] = [
    "--no-systemd",
    "--no-containers",
    "--cgroup=/nobody/*",
    "--listen",
    "127.0.0.1:0",
];
const OTHER_USER: u32 = 65534;

/// A FIFO, a directory, a device, a socket, and a link to a FIFO.
fn special_files(toolbox: &Toolbox) -> Result<Vec<PathBuf>> {
    let here = toolbox.folder();
    let (fifo, link) = (here.join("fifo.toml"), here.join("link.toml"));
    let (folder, socket) = (here.join("folder.toml"), here.join("socket.toml"));
    if !fifo.exists() {
        mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0)?;
        symlink(&fifo, &link)?;
        fs::create_dir(&folder)?;
        std::os::unix::net::UnixListener::bind(&socket)?;
    }
    Ok(vec![fifo, link, folder, socket, PathBuf::from("/dev/zero")])
}

/// Each option that names a file, of each command that has one.
fn no_files(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    let mut count = 0;
    for path in special_files(toolbox)? {
        let name = path.to_str().context("a path that is no text")?;
        let run = |option| [&["run", option, name][..], &QUIET].concat();
        for args in [
            run("--config"),
            run("--subjects"),
            run("--kubeconfig"),
            run("--journal"),
            vec!["check", "--config", name],
            vec!["check", "--kubeconfig", name],
            vec!["watch", "--config", name],
            vec!["watch", "--subjects", name],
            vec!["replay", name],
            vec!["replay", "--serve", "127.0.0.1:0", name],
            vec!["replay", "--config", name, "/dev/null"],
            vec!["explain", "--journal", name],
        ] {
            count += 1;
            let said = run_limited(toolbox, gracewatch(&args)?, LIMIT)?;
            let what = args.join(" ");
            if args.starts_with(&["check", "--kubeconfig"]) {
                // It says what is wrong among all else that it says.
                said.judge_end(&what, &mut told);
            } else {
                said.judge_refusal(&what, &[name], &mut told);
            }
        }
    }
    told.facts = format!("{count} refused");
    Ok(told)
}

/// The files that a kubeconfig names.
fn no_files_in_kubeconfig(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    let mut count = 0;
    let kubeconfig = toolbox.folder().join("kubeconfig");
    for path in special_files(toolbox)? {
        let name = path.to_str().context("a path that is no text")?;
        for field in [
            "tokenFile",
            "client-certificate",
            "client-key",
            "certificate-authority",
        ] {
            let named = format!("{field}: {name}");
            let (cluster, user) = if field == "certificate-authority" {
                (format!(", {named}"), String::new())
            } else {
                (String::new(), named)
            };
            let text = format!(
                "{{current-context: a, contexts: [{{name: a, context: {{cluster: c, user: u}}}}], \
                 clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'{cluster}}}}}], \
                 users: [{{name: u, user: {{{user}}}}}]}}"
            );
            fs::write(&kubeconfig, text)?;
            let named = kubeconfig.to_str().context("a path that is no text")?;
            let args = [&["run", "--node-name=n", "--kubeconfig", named][..], &QUIET].concat();
            count += 1;
            let said = run_limited(toolbox, gracewatch(&args)?, LIMIT)?;
            said.judge_refusal(&format!("{field}: {name}"), &[name], &mut told);
        }
    }
    told.facts = format!("{count} refused");
    Ok(told)
}

/// A journal that another one may read or write through another name, or that is another user's, is not written.
fn foreign_journals(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    let here = toolbox.folder();
    let victim = here.join("victim");
    fs::write(&victim, "as it was")?;
    let of = |name: &str| here.join(format!("journal-{name}"));
    symlink(&victim, of("link"))?;
    symlink(here.join("nobody"), of("dangling"))?;
    fs::hard_link(&victim, of("hard"))?;
    fs::write(of("foreign"), "as it was")?;
    chown(of("foreign"), Some(OTHER_USER), Some(OTHER_USER))?;
    let names = ["link", "dangling", "hard", "foreign"];
    for name in names {
        let path = of(name);
        let path = path.to_str().context("a path that is no text")?;
        let args = [&["run", "--journal", path][..], &QUIET].concat();
        let said = run_limited(toolbox, gracewatch(&args)?, LIMIT)?;
        said.judge_refusal(name, &[path, "--journal"], &mut told);
    }
    for path in [victim, of("foreign")] {
        let text = fs::read_to_string(&path)?;
        told.expect(text == "as it was", || {
            format!("{} was written", path.display())
        });
    }
    told.expect(!here.join("nobody").exists(), || {
        "what a link names was made".to_owned()
    });
    told.facts = format!("{} refused", names.join(", "));
    Ok(told)
}

/// An older journal that others could read, and a folder that others may write: the journal is for its owner alone.
fn open_journals(toolbox: &Toolbox) -> Result<Told> {
    let mut told = Told::default();
    let open = toolbox.folder().join("open");
    fs::create_dir(&open)?;
    fs::set_permissions(&open, Permissions::from_mode(0o1777))?;
    for mode in [0, 0o600, 0o644, 0o666, 0o777] {
        let journal = open.join(format!("journal-{mode:o}"));
        if mode != 0 {
            fs::write(&journal, "old")?;
            fs::set_permissions(&journal, Permissions::from_mode(mode))?;
        }
        // Who opened it before does not see what comes.
        let before = fs::File::open(&journal).ok();
        let size = start_with(toolbox, &journal)?;
        let now = metadata(&journal)?;
        told.expect(now.mode() & 0o777 == 0o600, || {
            format!("mode {mode:o} became {:o}", now.mode())
        });
        told.expect(size > 0, || format!("mode {mode:o}: nothing was written"));
        if let Some(before) = before.filter(|_| mode & 0o077 != 0) {
            told.expect(before.metadata()?.ino() != now.ino(), || {
                format!("mode {mode:o}: it is the same file")
            });
        }
    }
    "none, 600, 644, 666 and 777 become 600".clone_into(&mut told.facts);
    Ok(told)
}

/// Starts the agent with this journal, ends it, and gives the journal's size.
fn start_with(toolbox: &Toolbox, journal: &Path) -> Result<u64> {
    let mut command = gracewatch(&["run"])?;
    command.args(&QUIET[..3]).arg("--journal").arg(journal);
    let log = toolbox.folder().join("files.agent");
    Whole::start_command(command, whole::free_port(0)?, &log)?.stop()?;
    Ok(metadata(journal)?.len())
}
