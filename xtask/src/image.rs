//! `cargo xtask image`: the agent as a container image, one file, without a container runtime on this machine.
//!
//! The image is the static agent with its probes, and the licences; nothing else. `oci` writes the file format, `rig` the
//! images of the tests' own pods, `suite` those of Kubernetes' tests.

mod oci;
mod rig;
pub(crate) mod suite;

use std::collections::BTreeMap;
use std::fs;
use std::io::BufWriter;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::image::oci::{Config, File, Image};
use crate::{build_ebpf, cache, cargo, tools};

/// The agent's image, as `deploy/` names it.
pub(crate) const NAME: &str = concat!("localhost/gracewatch:", env!("CARGO_PKG_VERSION"));

/// What `--help` teaches below the options.
const MORE_HELP: &str = "\
The archive is an OCI image layout, which also Docker reads. To have it on a node:

  containerd   ctr -n k8s.io images import gracewatch.tar
  Docker       docker load -i gracewatch.tar
  a registry   skopeo copy oci-archive:gracewatch.tar docker://registry.example/gracewatch:0.1.0

and then: kubectl apply -k deploy/kustomize";

/// Build the agent's container image as a file, without a container runtime.
#[derive(Debug, clap::Args)]
#[command(after_long_help = MORE_HELP)]
pub(crate) struct Args {
    /// Where the archive goes [default: target/image/gracewatch.tar].
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,

    /// The image's full name.
    #[arg(long, value_name = "NAME", default_value = NAME)]
    tag: String,

    /// Write the images of the tests' pods, too: pause.tar, test.tar and test-quit.tar, beside the archive.
    #[arg(long)]
    tests: bool,
}

/// The command.
pub(crate) fn run(args: &Args) -> Result<()> {
    let path = args
        .out
        .clone()
        .unwrap_or_else(|| cache::workspace().join("target/image/gracewatch.tar"));
    let digest = write_agent_image(&args.tag, &path)?;
    let size = fs::metadata(&path)?.len();
    eprintln!("image: {} {digest}", args.tag);
    eprintln!("image: {} ({} kB)", path.display(), size.div_ceil(1000));
    if args.tests {
        write_rig_images(&tools::runtime()?, path.parent().unwrap_or(Path::new(".")))?;
    }
    eprintln!(
        "image: load with `ctr -n k8s.io images import` or `kind load image-archive`; more: --help"
    );
    Ok(())
}

/// Builds the agent and writes its image, named `name`, to `path`; returns the digest.
pub(crate) fn write_agent_image(name: &str, path: &Path) -> Result<String> {
    let object = build_ebpf::build()?;
    let programs = cargo::build_static(&object, &["gracewatch"])?;
    save_image(&with_agent(name, &programs.join("gracewatch"))?, path)
}

/// Writes an archive for each image of the tests' own pods into the folder `out`; `tools` holds the static programs.
pub(crate) fn write_rig_images(tools: &Path, out: &Path) -> Result<()> {
    let object = build_ebpf::build()?;
    let peer = cargo::build_static(&object, &["peer"])?.join("peer");
    rig::write(tools, &peer, out)
}

/// Root without capabilities is what the manifests make of it: the capabilities that Kubernetes adds reach only root.
fn with_agent(name: &str, binary: &Path) -> Result<Image> {
    let mut files = BTreeMap::from([("gracewatch".to_owned(), program(binary)?)]);
    for (path, source) in [
        ("licenses/gracewatch", "LICENSE"),
        ("licenses/gracewatch-probes", "agent-ebpf/LICENSE"),
    ] {
        files.insert(
            path.to_owned(),
            File::Regular(0o644, read(&cache::workspace().join(source))?),
        );
    }
    let label =
        |key: &str, value: &str| (format!("org.opencontainers.image.{key}"), value.to_owned());
    Ok(Image {
        name: name.to_owned(),
        files,
        config: Config {
            user: "0:0".to_owned(),
            entrypoint: vec!["/gracewatch".to_owned()],
            cmd: vec!["run".to_owned()],
            labels: [
                label("title", "gracewatch"),
                label("version", env!("CARGO_PKG_VERSION")),
                label("licenses", "Apache-2.0 AND GPL-2.0-only"),
            ]
            .into(),
            ..Config::default()
        },
    })
}

/// An executable file of an image.
fn program(path: &Path) -> Result<File> {
    Ok(File::Regular(0o755, read(path)?))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

/// Writes an image's archive to `path`, whose folder is made if it is missing, and returns the image's digest.
fn save_image(image: &Image, path: &Path) -> Result<String> {
    let failed = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).with_context(failed)?;
    }
    let file = fs::File::create(path).with_context(failed)?;
    image.write(BufWriter::new(file)).with_context(failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manifests_name_the_image_that_is_built() {
        let path = cache::workspace().join("deploy/kustomize/base/kustomization.yaml");
        let text = fs::read_to_string(path).unwrap();
        let value = |key: &str| {
            let mut values = text
                .lines()
                .filter_map(|line| line.trim().strip_prefix(key));
            values.next().unwrap().trim().to_owned()
        };
        assert_eq!(format!("{}:{}", value("newName:"), value("newTag:")), NAME);
    }
}
