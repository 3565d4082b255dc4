//! The images that Kubernetes' own end-to-end tests ask for by name, as far as tests of a pod's life do: `agnhost` around their
//! own program, busybox and the sandbox. Out of static programs, so that no registry is needed.

use std::path::Path;
use std::process::Command;

use anyhow::{Result, ensure};

use super::rig::{busybox, pause_image};
use crate::image::oci::{Config, File, Image};
use crate::process;
use crate::tools::KubernetesTests;

/// Alpine's image, on which agnhost is built upstream, has curl; the tests give it an address and nothing else.
const CURL: &str = "#!/bin/sh\nexec wget -q -O - \"$1\"\n";

/// And bash, which the tests use for nothing that this shell does not know.
const BASH: &str = "#!/bin/sh\nexec sh \"$@\"\n";

/// Writes an archive for each of these images into the folder `out`, by the names that the tests have for them. `tools` holds
/// the static programs `busybox` and `pause`.
pub(crate) fn write(tools: &Path, tests: &KubernetesTests, out: &Path) -> Result<()> {
    // Those of a run before may have had other names.
    crate::tools::remove(out)?;
    let wanted =
        process::output(Command::new(tests.programs.join("e2e.test")).arg("--list-images"))?;
    let shell = busybox(&tools.join("busybox"))?;
    let images = [
        ("agnhost", agnhost(&shell, tests)?),
        ("pause", pause_image(&tools.join("pause"))?),
        ("busybox", shell),
    ];
    for (kind, image) in images {
        let names: Vec<_> = wanted.lines().filter(|name| is_of(name, kind)).collect();
        ensure!(
            !names.is_empty(),
            "the tests ask for no image {kind} any more"
        );
        for name in names {
            let image = Image {
                name: name.to_owned(),
                ..image.clone()
            };
            let file = name.replace(['/', ':'], "-");
            super::save_image(&image, &out.join(format!("{file}.tar")))?;
            eprintln!("image: {name}");
        }
    }
    Ok(())
}

/// Whether this is the name of an image of this kind that everybody may pull.
fn is_of(name: &str, kind: &str) -> bool {
    let (repository, _tag) = name.rsplit_once(':').unwrap_or((name, ""));
    repository.starts_with("registry.k8s.io/") && repository.rsplit('/').next() == Some(kind)
}

/// As its Dockerfile has it, on busybox in the place of Alpine:
/// <https://github.com/kubernetes/kubernetes/blob/v1.37.2/test/images/agnhost/Dockerfile>
fn agnhost(shell: &Image, tests: &KubernetesTests) -> Result<Image> {
    let mut files = shell.files.clone();
    let program = super::program(&tests.programs.join("agnhost"))?;
    let certificates = tests.source.join("test/images/agnhost/porter");
    files.extend(
        [
            ("agnhost", program),
            ("agnhost-2", File::Link("agnhost".to_owned())),
            ("uploads", File::Folder(0o755)),
            ("bin/curl", File::Regular(0o755, CURL.into())),
            ("bin/bash", File::Regular(0o755, BASH.into())),
        ]
        .map(|(path, file)| (path.to_owned(), file)),
    );
    for name in ["localhost.crt", "localhost.key"] {
        let content = super::read(&certificates.join(name))?;
        files.insert(name.to_owned(), File::Regular(0o644, content));
    }
    Ok(Image {
        files,
        config: Config {
            entrypoint: vec!["/agnhost".to_owned()],
            cmd: vec!["pause".to_owned()],
            ..shell.config.clone()
        },
        ..Image::default()
    })
}

#[cfg(test)]
mod tests {
    use super::is_of;

    #[test]
    fn an_image_is_known_by_the_last_part_of_its_name() {
        assert!(is_of(
            "registry.k8s.io/e2e-test-images/agnhost:2.66.1",
            "agnhost"
        ));
        assert!(is_of("registry.k8s.io/pause:3.10.2", "pause"));
        assert!(!is_of(
            "registry.k8s.io/e2e-test-images/agnhost:2.66.1",
            "pause"
        ));
        assert!(!is_of(
            "gcr.io/k8s-authenticated-test/agnhost:2.6",
            "agnhost"
        ));
    }
}
