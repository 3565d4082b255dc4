//! An image registry on the loopback address, which gives the same image by every name: a shell with everything small.
//!
//! <https://github.com/opencontainers/distribution-spec/blob/v1.1.0/spec.md>: what a pull asks for, and no more.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::thread;

use anyhow::{Context as _, Result, ensure};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";

/// A running registry. Its thread ends with the process, its folder when it is dropped.
#[derive(Debug)]
pub(super) struct Registry {
    address: SocketAddr,
    folder: PathBuf,
}

impl Registry {
    /// Serves the image of this archive, which is an OCI layout.
    pub(super) fn start(archive: &Path) -> Result<Self> {
        let folder =
            std::env::temp_dir().join(format!("gracewatch-registry-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen")?;
        let registry = Self {
            address: listener.local_addr()?,
            folder,
        };
        let status = Command::new("tar")
            .arg("-xf")
            .arg(archive)
            .arg("-C")
            .arg(&registry.folder)
            .status()
            .context("cannot start tar")?;
        ensure!(status.success(), "cannot unpack {}", archive.display());
        let blobs = registry.folder.join("blobs/sha256");
        let manifest = manifest(&registry.folder)?;
        let shared = Arc::new((blobs, manifest));
        thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // Whoever hangs up meanwhile asks again.
                thread::spawn(move || serve_connection(connection, &shared.0, &shared.1).ok());
            }
        });
        Ok(registry)
    }

    /// Where it answers.
    pub(super) const fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.folder).ok();
    }
}

/// The digest of the layout's one manifest, without `sha256:`.
fn manifest(folder: &Path) -> Result<String> {
    let index = fs::read_to_string(folder.join("index.json")).context("the image has no index")?;
    let index: serde_json::Value = serde_json::from_str(&index)?;
    let digest = index.pointer("/manifests/0/digest");
    let digest = digest.and_then(serde_json::Value::as_str);
    let digest = digest.and_then(|digest| digest.strip_prefix("sha256:"));
    Ok(digest.context("the image has no manifest")?.to_owned())
}

/// Answers the requests of one connection.
fn serve_connection(mut connection: TcpStream, blobs: &Path, manifest: &str) -> Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?);
    loop {
        let mut request = String::new();
        if lines.read_line(&mut request)? == 0 {
            return Ok(());
        }
        let mut header = String::new();
        while lines.read_line(&mut header)? > 2 {
            header.clear();
        }
        let mut words = request.split_whitespace();
        let (method, path) = (
            words.next().unwrap_or_default(),
            words.next().unwrap_or_default(),
        );
        let (kind, file) = wanted(path, manifest);
        let found = file.map(|digest| (digest, fs::read(blobs.join(digest))));
        let answer = match found {
            Some((digest, Ok(body))) => (
                200,
                format!("Docker-Content-Digest: sha256:{digest}\r\n"),
                body,
            ),
            Some((_, Err(_missing))) => (404, String::new(), Vec::new()),
            None => (200, String::new(), Vec::new()),
        };
        let (status, more, body) = answer;
        write!(
            connection,
            "HTTP/1.1 {status} -\r\nContent-Type: {kind}\r\n{more}Content-Length: {}\r\n\r\n",
            body.len()
        )?;
        if method != "HEAD" {
            connection.write_all(&body)?;
        }
    }
}

/// What a path asks for: its kind, and the digest of the file; none for the question whether there is a registry.
fn wanted<'a>(path: &'a str, manifest: &'a str) -> (&'static str, Option<&'a str>) {
    let last = path.rsplit('/').next().unwrap_or_default();
    let digest = last.strip_prefix("sha256:");
    if path.contains("/manifests/") {
        // A tag means the one image that there is.
        return (MANIFEST, Some(digest.unwrap_or(manifest)));
    }
    ("application/octet-stream", digest)
}

#[cfg(test)]
mod tests {
    use super::wanted;

    #[test]
    fn every_name_is_the_one_image() {
        let of = |path| wanted(path, "abc").1.map(str::to_owned);
        assert_eq!(of("/v2/"), None);
        assert_eq!(
            of("/v2/e2e-test-images/busybox/manifests/1.29-2").as_deref(),
            Some("abc")
        );
        assert_eq!(of("/v2/x/y/manifests/sha256:abc").as_deref(), Some("abc"));
        assert_eq!(of("/v2/x/y/blobs/sha256:def").as_deref(), Some("def"));
    }
}
