//! Building with Go: finds it, reads which version of a module is wanted, and runs `go build`.

use std::hash::{DefaultHasher, Hash, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use super::modules::Module;
use crate::{cache, process};

/// The oldest that the newest of the modules asks for.
const OLDEST: (u32, u32) = (1, 26);

/// Where Go's own archive is unpacked by everybody who follows its instructions.
const USUAL_PLACE: &str = "/usr/local/go/bin/go";

/// The folder of a module of ours.
fn folder(module: &str) -> PathBuf {
    cache::workspace().join("tests/cluster/go").join(module)
}

/// What tells one build of `module` from another: version, and a digest of everything that was given to the compiler.
pub(super) fn key(module: &Module) -> Result<String> {
    let files = ["go.mod", "go.sum"].map(|name| folder(module.name).join(name));
    let mut content = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file)
            .with_context(|| format!("cannot read {}", file.display()))?;
        content.push(text);
    }
    let version = version(module.name, module.of)?;
    let digest = digest(&(content, module.cgo, module.tags, module.linker));
    Ok(format!("{}-{version}-{digest}", module.name))
}

/// A short name for `of`; other versions of Rust may give another, which costs a build and nothing else.
pub(super) fn digest(of: &impl Hash) -> String {
    let mut hasher = DefaultHasher::new();
    of.hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// The version that the go.mod of `module` requires of `of`, without the `v`.
pub(super) fn version(module: &str, of: &str) -> Result<String> {
    let path = folder(module).join("go.mod");
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("cannot read {}", path.display()))?;
    required(&text, of)
        .map(str::to_owned)
        .with_context(|| format!("{} requires no {of}", path.display()))
}

fn required<'a>(go_mod: &'a str, of: &str) -> Option<&'a str> {
    go_mod.lines().find_map(|line| {
        let mut words = line
            .trim()
            .trim_start_matches("require ")
            .split_whitespace();
        (words.next() == Some(of)).then_some(())?;
        words.next()?.strip_prefix('v')
    })
}

/// Builds all tools of `module` into `into`; C code finds headers and archives in the folder `libraries`.
pub(super) fn build(module: &Module, libraries: Option<&Path>, into: &Path) -> Result<()> {
    let version = version(module.name, module.of)?;
    let minor = version.split('.').nth(1).unwrap_or_default();
    let linker = module
        .linker
        .replace("{version}", &version)
        .replace("{minor}", minor);
    let mut target = into.as_os_str().to_owned();
    // With a slash it is a folder for Go, whatever the number of programs.
    target.push("/");
    for (verb, what) in builds(module) {
        let mut command = go_command(module.name)?;
        if let Some(libraries) = libraries {
            let place = libraries.display();
            command
                // Go asks it for flags, which are given below instead.
                .env("PKG_CONFIG", "true")
                .env("CGO_CFLAGS", format!("-I{place}"))
                .env("CGO_LDFLAGS", format!("-L{place} -lseccomp"));
        }
        process::run(
            command
                .env("CGO_ENABLED", if module.cgo { "1" } else { "0" })
                .args(verb)
                .args(["-trimpath", "-tags", module.tags])
                .arg(format!("-ldflags=-s -w {linker}"))
                .arg("-o")
                .arg(&target)
                .arg(what),
        )?;
    }
    let Some((theirs, ours)) = module.renamed else {
        return Ok(());
    };
    std::fs::rename(into.join(theirs), into.join(ours))
        .with_context(|| format!("cannot rename {theirs} to {ours} in {}", into.display()))
}

/// What Go is called for: its tools, its tests, or both.
fn builds(module: &Module) -> Vec<(&'static [&'static str], &'static str)> {
    let mut builds: Vec<(&[&str], _)> = Vec::new();
    if module.programs.len() > usize::from(module.tests.is_some()) {
        builds.push((&["build"], "tool"));
    }
    // Else it checks all packages that it is made of, which takes longer than to compile them.
    let tests = &["test", "-c", "-vet=off"][..];
    builds.extend(module.tests.map(|package| (tests, package)));
    builds
}

/// The folder with the source of `of`, fetched where it is missing.
pub(super) fn source(module: &str, of: &str) -> Result<PathBuf> {
    process::output(go_command(module)?.args(["mod", "download", of]))?;
    let place = process::output(go_command(module)?.args(["list", "-m", "-f", "{{.Dir}}", of]))?;
    Ok(PathBuf::from(place.trim()))
}

/// Go, in the folder of a module of ours, and new enough.
fn go_command(module: &str) -> Result<Command> {
    let program = if process::exists("go") {
        "go"
    } else {
        USUAL_PLACE
    };
    let in_folder = || {
        let mut command = Command::new(program);
        command.current_dir(folder(module));
        command
    };
    let advice = format!(
        "the tools are built with Go {}.{} or newer: unpack it to /usr/local/go (https://go.dev/doc/install) or put it \
         on the PATH",
        OLDEST.0, OLDEST.1
    );
    let said = process::output(in_folder().arg("version")).with_context(|| advice.clone())?;
    ensure!(
        release(&said).is_some_and(|release| release >= OLDEST),
        "{advice}; this one is {}",
        said.trim()
    );
    Ok(in_folder())
}

/// `1.26` of `go version go1.26.8 linux/amd64`.
fn release(said: &str) -> Option<(u32, u32)> {
    let word = said.split_whitespace().nth(2)?.strip_prefix("go")?;
    let mut numbers = word.split(|mark: char| !mark.is_ascii_digit());
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::super::modules;
    use super::*;

    #[test]
    fn the_release_is_found_in_what_go_says() {
        assert_eq!(release("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(release("go version go1.27rc1 linux/amd64"), Some((1, 27)));
        assert_eq!(
            release("go version devel +a1b2c3 linux/amd64").filter(|found| *found >= OLDEST),
            None
        );
    }

    #[test]
    fn a_required_version_is_found_in_both_forms() {
        let text = "module m\nrequire a.example/x v1.2.3\nrequire (\n\ta.example/y v4.5.6 // indirect\n)\n";
        assert_eq!(required(text, "a.example/x"), Some("1.2.3"));
        assert_eq!(required(text, "a.example/y"), Some("4.5.6"));
        assert_eq!(required(text, "a.example/z"), None);
    }

    #[test]
    fn tools_and_tests_are_built_where_there_are_any() {
        let of = |module| builds(module).into_iter().map(|(_, what)| what);
        assert!(of(&modules::RUNC).eq(["tool"]));
        assert!(of(&modules::CRITEST).eq(["sigs.k8s.io/cri-tools/cmd/critest"]));
        assert!(of(&modules::KUBERNETES_TESTS).eq(["tool", "k8s.io/kubernetes/test/e2e"]));
    }

    #[test]
    fn the_tests_of_kubernetes_are_those_of_the_rigs() {
        let of = |module: &Module| version(module.name, module.of).unwrap();
        assert_eq!(of(&modules::KUBERNETES_TESTS), of(&modules::KUBERNETES));
    }

    #[test]
    fn each_module_has_a_version_and_a_key_of_its_own() {
        let modules = [
            &modules::RUNC,
            &modules::CONTAINERD,
            &modules::CNI,
            &modules::ETCD,
            &modules::KUBERNETES,
            &modules::JSONNET,
            &modules::PROMETHEUS,
            &modules::HELM,
            &modules::CRITEST,
            &modules::KUBERNETES_TESTS,
        ];
        let mut keys: Vec<_> = modules.map(|module| key(module).unwrap()).to_vec();
        keys.sort();
        keys.dedup();
        assert_eq!(keys.len(), modules.len());
    }
}
