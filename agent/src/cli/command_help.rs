//! What the help and the manual pages teach of each command: examples, the rights it takes, what comes out, how it ends.

use std::fmt::Write as _;

/// What there is to know of a command beside its options.
#[derive(Clone, Copy, Debug)]
pub(super) struct CommandHelp {
    /// The command; empty for `gracewatch` itself.
    pub(super) command: &'static str,
    /// Command lines, and what each is for.
    pub(super) examples: &'static [(&'static str, &'static str)],
    /// The rights that it takes.
    pub(super) rights: &'static str,
    /// What comes out, and where.
    pub(super) output: &'static str,
    /// The codes it exits with, and what each means.
    pub(super) exits: &'static [(u8, &'static str)],
    /// Files that it reads or writes without being told their names.
    pub(super) files: &'static [(&'static str, &'static str)],
}

const WRONG: (u8, &str) = (
    2,
    "an option, a variable, a line of the configuration file or a file that they name is wrong; the sentence on standard error names it",
);
const CONFIG: (&str, &str) = (
    super::config::DEFAULT_PATH,
    "options by their long names, as TOML; read if it is there and --config names no other",
);
const CGROUPS: (&str, &str) = (
    "/sys/fs/cgroup",
    "the cgroup v2 tree, or where it is mounted",
);
const BTF: (&str, &str) = (
    "/sys/kernel/btf/vmlinux",
    "the kernel's types, by which the probes find what they read",
);
const SERVICE_ACCOUNT: (&str, &str) = (
    "/var/run/secrets/kubernetes.io/serviceaccount/",
    "the token of a pod's service account",
);
const KUBECONFIG: (&str, &str) = (
    "~/.kube/config",
    "read with --kubernetes on only, and if nothing else names a file",
);

/// What decides on colours, in every command.
pub(super) const COLOUR_VARIABLES: [(&str, &str); 3] = [
    (
        "NO_COLOR",
        "if it is not empty, no colours (https://no-color.org)",
    ),
    (
        "CLICOLOR_FORCE",
        "if it is neither empty nor 0, colours also where standard output is no terminal; NO_COLOR goes before it",
    ),
    (
        "TERM",
        "if it is dumb or empty, neither colours nor other characters than ASCII",
    ),
];

const ROOT: &str = "Root, or CAP_BPF and CAP_PERFMON to load the probes, and CAP_SYS_PTRACE where /proc is mounted with \
hidepid. It must see the machine's own pid namespace and the whole cgroup tree.";
const NONE: &str = "None: any user can run it, on any machine.";

/// The help of each command, in the order of the help.
pub(super) const COMMAND_HELPS: [CommandHelp; 8] = [
    CommandHelp {
        command: "",
        examples: &[
            (
                "gracewatch check",
                "can this machine be measured? What is missing, and how to mend it",
            ),
            (
                "gracewatch watch",
                "terminations of all services and containers, live in this terminal",
            ),
            (
                "gracewatch run",
                "the agent: metrics for Prometheus on http://127.0.0.1:8637/metrics",
            ),
            (
                "gracewatch explain last",
                "all facts of the agent's last termination, and what follows from them",
            ),
            (
                "gracewatch run --journal stop.jsonl",
                "the agent, recording what the kernel tells",
            ),
            (
                "gracewatch replay stop.jsonl",
                "the reports of that recording, on any machine",
            ),
        ],
        rights: "`run`, `check` and `watch` of this machine take root, or CAP_BPF and CAP_PERFMON. `explain`, `watch --agent`, \
`replay`, `completions` and `man` take none.",
        output: "What was asked for goes to standard output, the log and remarks to standard error. Colours only go to \
a terminal: NO_COLOR turns colours off, CLICOLOR_FORCE=1 keeps them in pipes and files.",
        exits: &[
            (0, "it did what it was asked to"),
            (
                1,
                "it could not: this machine, a file's contents or another agent is in the way; the sentence on standard error says what",
            ),
            WRONG,
        ],
        files: &[CONFIG],
    },
    CommandHelp {
        command: "run",
        examples: &[
            (
                "gracewatch run",
                "measure everything on this machine; metrics on 127.0.0.1:8637",
            ),
            (
                "gracewatch run --listen 0.0.0.0:8637",
                "… and let others scrape it",
            ),
            (
                "gracewatch run --no-systemd --cgroup '/demo/*'",
                "containers, and the cgroups /demo/<any>, but no services",
            ),
            (
                "gracewatch run --subjects demo.toml",
                "with the grace, stop signal and hook that the file tells of its globs",
            ),
            (
                "gracewatch run --kubernetes on --node-name node-1",
                "a node's agent outside of a pod, by ~/.kube/config",
            ),
            (
                "gracewatch run --journal stop.jsonl",
                "record what the kernel tells, for `gracewatch replay`",
            ),
        ],
        rights: ROOT,
        output: "HTTP on --listen: /metrics for Prometheus, /api/v1/terminations as JSON, a page at /, /livez and /readyz. A line of \
the log on standard error for each termination. With Kubernetes, Events on the pods of which something went wrong.",
        exits: &[
            (0, "SIGTERM, SIGINT or SIGHUP ended it"),
            (
                1,
                "it cannot start, go on, or stop within a second: a right is missing, the kernel refused the probes, the address is in use; `gracewatch check` says more",
            ),
            WRONG,
        ],
        files: &[CONFIG, CGROUPS, BTF, SERVICE_ACCOUNT, KUBECONFIG],
    },
    CommandHelp {
        command: "watch",
        examples: &[
            (
                "gracewatch watch",
                "services and containers of this machine, as they stop",
            ),
            (
                "gracewatch watch --no-systemd --cgroup '/demo/*'",
                "containers, and the cgroups /demo/<any>",
            ),
            (
                "gracewatch watch --json | jq .outcome",
                "a line of JSON for each termination",
            ),
            (
                "gracewatch watch --agent 127.0.0.1:8637",
                "what the agent measures that runs here already; without root",
            ),
            (
                "gracewatch watch --agent http://node-1:8637",
                "… or on another machine, where its --listen lets others in",
            ),
        ],
        rights: "Root, or CAP_BPF and CAP_PERFMON to load the probes, and CAP_SYS_PTRACE where /proc is mounted with hidepid. With \
--agent none.",
        output: "A timeline for each termination when it is finished; in a terminal, the open ones below them in a line each. Into a \
pipe no colours, and remarks on standard error. A running agent is not disturbed: both can look at once.",
        exits: &[
            (
                0,
                "SIGINT (Ctrl-C), SIGTERM or SIGHUP ended it, or nobody reads its output any more",
            ),
            (
                1,
                "it cannot start or go on; with --agent, what answers there is no agent of this version",
            ),
            WRONG,
        ],
        files: &[CONFIG, CGROUPS, BTF, SERVICE_ACCOUNT, KUBECONFIG],
    },
    CommandHelp {
        command: "check",
        examples: &[
            (
                "gracewatch check",
                "every thing that the agent needs: ok, warn or FAIL, and the way out",
            ),
            (
                "gracewatch check --no-load",
                "without loading the probes, as any user",
            ),
            (
                "gracewatch check --config node.toml",
                "is this configuration right? Every line is read as `run` would",
            ),
            (
                "gracewatch check --json | jq .can_run",
                "for programs: true or false",
            ),
        ],
        rights: "None to say what is missing; root, or CAP_BPF and CAP_PERFMON, to try whether the kernel takes the probes.",
        output: "A line or more for each thing: kernel, probes, rights, cgroup tree, configuration, Kubernetes API. It changes nothing.",
        exits: &[
            (0, "the agent can run here"),
            (1, "it cannot; the lines with FAIL say why"),
            WRONG,
        ],
        files: &[CONFIG, CGROUPS, BTF, SERVICE_ACCOUNT, KUBECONFIG],
    },
    CommandHelp {
        command: "replay",
        examples: &[
            (
                "gracewatch replay stop.jsonl",
                "the timeline of every termination in it",
            ),
            (
                "gracewatch replay stop.jsonl --metrics",
                "… and the metrics as they would be scraped in the end",
            ),
            (
                "gracewatch replay stop.jsonl --json",
                "a line of JSON for each",
            ),
            (
                "gracewatch explain --journal stop.jsonl last",
                "all facts of one of them",
            ),
        ],
        rights: "None, but to read the file: `run --journal` lets only its owner.",
        output: "The reports that the agent gave, again, on standard output; the same journal always gives the same.",
        exits: &[
            (0, "the journal was read to its end"),
            (
                1,
                "it cannot be read from some line on; what stands before that is printed",
            ),
            (2, "an option is wrong, or the file cannot be opened"),
        ],
        files: &[CONFIG],
    },
    CommandHelp {
        command: "explain",
        examples: &[
            (
                "gracewatch explain",
                "which terminations the agent of this machine remembers",
            ),
            (
                "gracewatch explain last",
                "the one that finished last: every fact in order, and what follows from which",
            ),
            (
                "gracewatch explain web-7d4b9c6f5-x2x9k",
                "the last one of that pod, container or service; a part of the name will do",
            ),
            ("gracewatch explain '#12'", "by its number"),
            (
                "gracewatch explain last --agent http://node-1:8637",
                "of the agent on another machine",
            ),
            (
                "gracewatch explain last --journal stop.jsonl",
                "of a recording, without an agent",
            ),
        ],
        rights: "None, but to reach the agent's address or to read the journal.",
        output: "What was done to the container and what it did, each with its moment and where that is known from (the kernel, the \
pod, the kubelet's Events, the endpoints); then outcome, durations, findings and doubts, each with the facts that it follows from. \
Without a name, a line for each termination.",
        exits: &[
            (0, "it was explained"),
            (
                1,
                "the agent does not answer, is of another version, or remembers no termination; or the journal is broken",
            ),
            (
                2,
                "no termination has this name, or several have; they are listed on standard error. Or an option is wrong",
            ),
        ],
        files: &[CONFIG],
    },
    CommandHelp {
        command: "completions",
        examples: &[
            ("source <(gracewatch completions bash)", "for this shell"),
            (
                "gracewatch completions bash > /etc/bash_completion.d/gracewatch",
                "for every bash of this machine",
            ),
            (
                "gracewatch completions zsh > \"${fpath[1]}/_gracewatch\"",
                "for zsh",
            ),
            (
                "gracewatch completions fish > ~/.config/fish/completions/gracewatch.fish",
                "for fish",
            ),
        ],
        rights: NONE,
        output: "A script for the shell, on standard output.",
        exits: &[
            (0, "it was printed"),
            (1, "standard output could not be written"),
            (2, "there is no such shell"),
        ],
        files: &[],
    },
    CommandHelp {
        command: "man",
        examples: &[
            (
                "gracewatch man --out /usr/local/share/man/man1",
                "a page for `gracewatch` and one for each command",
            ),
            (
                "gracewatch man | man -l -",
                "the page of `gracewatch`, to read now",
            ),
            ("gracewatch man explain | man -l -", "the page of a command"),
        ],
        rights: NONE,
        output: "With --out, files named gracewatch.1, gracewatch-run.1 and so on; else one page on standard output.",
        exits: &[
            (0, "it was written"),
            (1, "a file could not be written"),
            (2, "there is no such command"),
        ],
        files: &[],
    },
];

/// The help of a command.
pub(super) fn find_command_help(command: &str) -> Option<&'static CommandHelp> {
    COMMAND_HELPS.iter().find(|help| help.command == command)
}

impl CommandHelp {
    /// What stands below the options of `-h`.
    pub(super) fn short_text(&self) -> String {
        let mut text = "Examples:\n".to_owned();
        for (line, why) in self.examples {
            // Writing to memory cannot fail.
            write!(text, "  {line}\n      {why}\n").unwrap_or_default();
        }
        text.push_str("\n`--help` says more: the rights it takes, what comes out, the exit codes.");
        text
    }

    /// What stands below the options of `--help`.
    pub(super) fn long_text(&self) -> String {
        let mut text = "Examples:\n".to_owned();
        for (line, why) in self.examples {
            write!(text, "  {line}\n          {why}\n").unwrap_or_default();
        }
        write!(
            text,
            "\nRights: {}\n\nOutput: {}\n\nExit status:\n",
            self.rights, self.output
        )
        .unwrap_or_default();
        for (code, meaning) in self.exits {
            write!(text, "  {code}\n          {meaning}\n").unwrap_or_default();
        }
        text.trim_end().to_owned()
    }
}
