//! Which cgroups are subjects, by their path alone: units of systemd, containers of a runtime, cgroups named by a glob.
//!
//! The rules, in their order:
//!
//! 1. A cgroup that a runtime made for a container is a subject wherever it lies: in a service (k3s), in another
//!    container (kind, Docker in Docker), in a user's manager (rootless podman).
//! 2. A cgroup that a glob names is one, unless it lies inside a container or inside another cgroup that a glob names.
//! 3. A systemd service or scope is one, unless it lies inside another subject. A user's manager (`user@1000.service`)
//!    is one, and those that it manages are too.
//! 4. Any other cgroup belongs to the nearest subject above it, as does what lies in it.
//!
//! Never subjects: the scopes of conmon (podman's and CRI-O's monitor, which outlives the container that it watches)
//! and `init.scope` (systemd itself). The sandbox's `pause` cannot be told from other containers by a path: the engine
//! leaves it out by its main process, see `crate::container`.

use glob::{MatchOptions, Pattern};

use crate::config::{Config, ConfigError, Selector};
use crate::event::CgroupId;
use crate::output::Names;
use crate::report::{Subject, SubjectKind};
use crate::signal::Signal;

/// As a shell matches paths: `*` does not cross a `/`, and a leading dot is nothing special.
const OPTIONS: MatchOptions = MatchOptions {
    case_sensitive: true,
    require_literal_separator: true,
    require_literal_leading_dot: false,
};

/// Characters of a container id that its short form keeps, as the runtimes' own tools print it.
const SHORT_ID: usize = 12;

/// The configuration's rules, with its globs compiled.
#[derive(Clone, Debug)]
pub struct Selectors {
    systemd: bool,
    containers: bool,
    globs: Vec<(Pattern, Selector)>,
    /// The globs without their last part: where cgroups are that they name.
    parents: Vec<(Pattern, Option<Signal>)>,
}

impl Selectors {
    /// Compiles the globs.
    ///
    /// # Errors
    /// The first glob, or command of a hook, that cannot be used.
    pub fn compile(config: &Config) -> Result<Self, ConfigError> {
        config.check_globs()?;
        let globs = config
            .selectors
            .iter()
            .zip(1..)
            .map(|(selector, number)| compile(selector, number))
            .collect::<Result<_, _>>()?;
        let parents = config.selectors.iter().filter_map(|selector| {
            let (above, _last) = selector.cgroup.rsplit_once('/')?;
            Some((Pattern::new(above).ok()?, selector.stop_signal))
        });
        Ok(Self {
            systemd: config.systemd,
            containers: config.containers,
            parents: parents.collect(),
            globs,
        })
    }

    /// How subjects in this cgroup would be called, if any are likely to be made directly in it, and the stop signal that is
    /// configured for them.
    pub fn expected(&self, path: &str) -> Option<(Vec<Names>, Option<Signal>)> {
        const FOLDERS: [&str; 5] = ["docker", "moby", "libpod_parent", "k8s.io", "buildkit"];
        let last = Part::from_path(path)?;
        let is_slice = matches!(last.name.rsplit_once('.'), Some((_, "slice")));
        let of_pod = lies_in_pod(&format!("{path}/container"));
        let named = self.parents.iter();
        let mut named = named.filter(|(parent, _)| parent.matches_with(path, OPTIONS));
        let named = named.next();
        let holds_containers = is_slice || of_pod || FOLDERS.contains(&last.name);
        let names: Vec<Names> = [
            (Names::Containers, self.containers && holds_containers),
            (Names::Units, self.systemd && is_slice),
            (Names::Any, named.is_some()),
        ]
        .into_iter()
        .filter_map(|(names, holds)| holds.then_some(names))
        .collect();
        let stop_signal = named.and_then(|(_, signal)| *signal);
        (!names.is_empty()).then_some((names, stop_signal))
    }

    /// The subject that this cgroup is the topmost of, if it is one.
    pub fn subject(&self, cgroup: CgroupId, path: &str) -> Option<Subject> {
        let last = Part::from_path(path)?;
        let own = Class::from_part(&last);
        self.is_subject(path, &own)
            .then(|| own.subject(cgroup, path, last.name))
    }

    /// The path of the outermost container that a cgroup with this path lies in, or is: the topmost that a runtime made for a
    /// container. Whoever is in that container makes what lies below it, so all of it shares what the container may use. Where
    /// there is none, the topmost subject; the unit that holds containers (`k3s.service`) does not make them share.
    pub fn outermost<'a>(&self, path: &'a str) -> Option<&'a str> {
        let parts = || prefixes(path).chain([path]);
        let is_subject = |path: &&str| {
            Part::from_path(path)
                .is_some_and(|part| self.is_subject(path, &Class::from_part(&part)))
        };
        parts()
            .find(|path| self.is_container(path))
            .or_else(|| parts().find(is_subject))
    }

    /// What is known of a cgroup with this path: the first selector that matches.
    pub fn selector(&self, path: &str) -> Option<&Selector> {
        self.globs
            .iter()
            .find(|(pattern, _)| pattern.matches_with(path, OPTIONS))
            .map(|(_, selector)| selector)
    }

    /// Whether a cgroup with this path, which is `own` by its name, is the topmost of a subject.
    fn is_subject(&self, path: &str, own: &Class<'_>) -> bool {
        let named = self.selector(path).is_some();
        match own {
            Class::Container(..) if self.containers => true,
            Class::Container(..) | Class::Unit { .. } | Class::Plain if named => {
                !prefixes(path).any(|above| self.is_container(above) || self.is_named(above))
            }
            Class::Unit { .. } if self.systemd => {
                !prefixes(path).any(|above| self.holds_units(above))
            }
            Class::Container(..) | Class::Unit { .. } | Class::Plain | Class::Never => false,
        }
    }

    /// Whether a runtime made the cgroup for a container, by its name.
    pub(crate) fn is_container(&self, path: &str) -> bool {
        self.containers && is_of_runtime(path)
    }

    fn is_named(&self, path: &str) -> bool {
        self.selector(path).is_some()
    }

    /// Whether a unit below this cgroup belongs to it.
    fn holds_units(&self, path: &str) -> bool {
        self.is_named(path)
            || self.is_container(path)
            || Part::from_path(path).is_some_and(|part| {
                matches!(
                    Class::from_part(&part),
                    Class::Unit { manager: false, .. } | Class::Never
                )
            })
    }
}

/// The path of the outermost container that a subject with this path lies in, or is, for whoever does not know the
/// configuration: by names alone. Else the path.
pub fn outermost_by_name(path: &str) -> &str {
    let by_name = Selectors {
        systemd: true,
        containers: true,
        globs: Vec::new(),
        parents: Vec::new(),
    };
    by_name.outermost(path).unwrap_or(path)
}

fn compile(selector: &Selector, number: usize) -> Result<(Pattern, Selector), ConfigError> {
    let glob = selector.cgroup.clone();
    if !glob.starts_with('/') {
        return Err(ConfigError::RelativeGlob { number, glob });
    }
    if selector.pre_stop.as_ref().is_some_and(Vec::is_empty) {
        return Err(ConfigError::EmptyHook { number, glob });
    }
    match Pattern::new(&glob) {
        Ok(pattern) => Ok((pattern, selector.clone())),
        Err(error) => Err(ConfigError::Glob {
            number,
            glob,
            position: error.pos + 1,
            problem: error.msg.to_owned(),
        }),
    }
}

/// Whether a runtime made this cgroup for a container, by its name.
pub fn is_of_runtime(path: &str) -> bool {
    Part::from_path(path)
        .is_some_and(|part| matches!(Class::from_part(&part), Class::Container(..)))
}

/// The paths above this one, the root left out.
fn prefixes(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/')
        .filter_map(|(end, _)| path.get(..end))
        .filter(|above| !above.is_empty())
}

/// The last part of a path, and what its name has to be read with.
struct Part<'a> {
    name: &'a str,
    parent: &'a str,
    in_kubepods: bool,
}

impl<'a> Part<'a> {
    /// None for the root.
    fn from_path(path: &'a str) -> Option<Self> {
        let (above, name) = path.trim_end_matches('/').rsplit_once('/')?;
        if name.is_empty() {
            return None;
        }
        Some(Self {
            name,
            parent: above.rsplit('/').next().unwrap_or_default(),
            in_kubepods: above.split('/').any(|part| part.contains("kubepods")),
        })
    }
}

/// What a cgroup is by its name.
#[derive(Debug, PartialEq, Eq)]
enum Class<'a> {
    /// A runtime made it for the container with this id.
    Container(SubjectKind, &'a str),
    /// systemd made it for a unit.
    Unit { kind: SubjectKind, manager: bool },
    /// It holds no subject.
    Never,
    /// Anything else.
    Plain,
}

impl<'a> Class<'a> {
    fn from_part(part: &Part<'a>) -> Self {
        let name = part.name;
        if name == "init.scope"
            || name.starts_with("libpod-conmon-")
            || name.starts_with("crio-conmon-")
        {
            return Self::Never;
        }
        if let Some((kind, id)) = container(part) {
            return Self::Container(kind, id);
        }
        match name.rsplit_once('.') {
            Some((unit, "service")) => Self::Unit {
                kind: SubjectKind::SystemdService,
                manager: unit.starts_with("user@"),
            },
            Some((_unit, "scope")) => Self::Unit {
                kind: SubjectKind::SystemdScope,
                manager: false,
            },
            Some(_) | None => Self::Plain,
        }
    }

    fn subject(&self, cgroup: CgroupId, path: &str, name: &str) -> Subject {
        let (kind, id) = match self {
            Self::Container(kind, id) => (*kind, Some(*id)),
            Self::Unit { kind, .. } => (*kind, None),
            Self::Never | Self::Plain => (SubjectKind::Cgroup, None),
        };
        Subject {
            cgroup,
            path: path.to_owned(),
            kind,
            name: id
                .and_then(|id| id.get(..SHORT_ID))
                .unwrap_or(name)
                .to_owned(),
            container_id: id.map(str::to_owned),
            pod_uid: id.and_then(|_id| own_pod_uid(path)),
        }
    }
}

/// The runtime and the id of a container, by the names that runtimes give their cgroups:
/// `<runtime>-<id>.scope` (systemd driver), `<runtime>-<id>`, `<id>` below a parent that tells (cgroupfs driver), and
/// `<slice>:<runtime>:<id>` (a systemd-style path given to a runtime with the cgroupfs driver).
fn container<'a>(part: &Part<'a>) -> Option<(SubjectKind, &'a str)> {
    let bare = part.name.strip_suffix(".scope").unwrap_or(part.name);
    if let Some((_, runtime_and_id)) = bare.split_once(':') {
        let (runtime, id) = runtime_and_id.split_once(':')?;
        return Some((runtime_kind(runtime)?, hex_id(id)?));
    }
    if let Some(id) = hex_id(bare) {
        let kind = match part.parent {
            "docker" | "moby" => SubjectKind::Docker,
            "libpod_parent" => SubjectKind::Podman,
            "k8s.io" | "default" | "buildkit" => SubjectKind::Containerd,
            _ if part.in_kubepods => SubjectKind::Containerd,
            _ => return None,
        };
        return Some((kind, id));
    }
    let (runtime, id) = bare.rsplit_once('-')?;
    Some((runtime_kind(runtime)?, hex_id(id)?))
}

fn runtime_kind(runtime: &str) -> Option<SubjectKind> {
    match runtime {
        "docker" => Some(SubjectKind::Docker),
        "libpod" | "libpod-payload" => Some(SubjectKind::Podman),
        "cri-containerd" | "nerdctl" => Some(SubjectKind::Containerd),
        "crio" => Some(SubjectKind::Crio),
        _ => None,
    }
}

/// Whether this cgroup lies directly in one that is called like a pod's, be it of the kubelet that we ask about or another one.
pub(crate) fn lies_in_pod(path: &str) -> bool {
    pod_uid(path).is_some()
}

/// The UID of the pod whose container has this path. None below another container, or below a pod's: whoever is in that one
/// may have made this cgroup, under any name. The pods of a node that is itself a container (kind) are not those of the API
/// that we ask.
fn own_pod_uid(path: &str) -> Option<String> {
    let is_held = |above| is_of_runtime(above) || lies_in_pod(above);
    pod_uid(path).filter(|_uid| !prefixes(path).any(is_held))
}

/// The pod's UID by what a kubelet calls the cgroup of a pod, in which a container lies directly: `pod<uid>` with the
/// cgroupfs driver, `kubepods-burstable-pod<uid with _>.slice` with systemd's. The UID of a static pod is a hash without
/// hyphens. A container that a container of a pod made for itself (Docker in Docker) is not the kubelet's.
/// <https://github.com/kubernetes/kubernetes/blob/v1.36.2/pkg/kubelet/cm/cgroup_manager_linux.go#L87>
fn pod_uid(path: &str) -> Option<String> {
    let (above, name) = path.rsplit_once('/')?;
    let part = match name.split_once(':') {
        Some((slice, _)) => slice,
        None => above.rsplit('/').next()?,
    };
    if let Some(slice) = part.strip_suffix(".slice") {
        let (parent, uid) = slice.rsplit_once("-pod")?;
        return parent.contains("kubepods").then(|| uid.replace('_', "-"));
    }
    let uid = part.strip_prefix("pod")?;
    above.contains("kubepods").then(|| uid.to_owned())
}

/// The id that every runtime here gives: 64 hexadecimal digits.
fn hex_id(text: &str) -> Option<&str> {
    let is_id = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_id.then_some(text)
}

#[cfg(test)]
mod tests;
