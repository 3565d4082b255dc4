//! Writes a container image as one file: an OCI image layout in a tar archive, made without a daemon. Times and owners
//! are 0 and everything is sorted, so equal content gives equal bytes. `manifest.json` beside the layout is what Docker
//! versions before 25 read.
//! Layout: <https://github.com/opencontainers/image-spec/blob/v1.1.1/image-layout.md>

use std::collections::BTreeMap;
use std::io::Write;

use anyhow::{Context as _, Result};
use base16ct::HexDisplay;
use flate2::write::GzEncoder;
use flate2::{Compression, GzBuilder};
use serde::Serialize;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What is in an image, and how it is run.
#[derive(Debug, Clone, Default)]
pub(crate) struct Image {
    /// The full reference by which it is found, `registry/name:tag`.
    pub(crate) name: String,
    /// By path without a leading slash; folders above a file need no entry of their own.
    pub(crate) files: BTreeMap<String, File>,
    pub(crate) config: Config,
}

/// How an image is run: the fields of the OCI image configuration.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Config {
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) user: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) env: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) entrypoint: Vec<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) cmd: Vec<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) stop_signal: Option<String>,
}

/// One entry of the image's tree.
#[derive(Debug, Clone)]
pub(crate) enum File {
    /// A file with its permissions.
    Regular(u32, Vec<u8>),
    /// A folder with its permissions.
    Folder(u32),
    /// A symbolic link and where it points.
    Link(String),
}

/// A blob's identity, as other parts of the image refer to it.
#[derive(Debug)]
struct Descriptor {
    media_type: &'static str,
    hex: String,
    size: usize,
}

impl Descriptor {
    fn to_json(&self) -> Value {
        json!({
            "mediaType": self.media_type,
            "digest": format!("sha256:{}", self.hex),
            "size": self.size,
        })
    }
}

impl Image {
    /// Writes the archive and returns the digest of the image's manifest, `sha256:…`.
    pub(crate) fn write(&self, to: impl Write) -> Result<String> {
        let mut blobs = BTreeMap::new();
        let layer = self
            .layer_archive()
            .context("cannot pack the image's layer")?;
        let diff_id = format!("sha256:{}", hex_digest(&layer));
        let layer = add_blob(
            &mut blobs,
            "application/vnd.oci.image.layer.v1.tar+gzip",
            gzip(&layer)?,
        );
        let config = add_blob(
            &mut blobs,
            "application/vnd.oci.image.config.v1+json",
            serde_json::to_vec(&json!({
                "architecture": "amd64",
                "os": "linux",
                "config": self.config,
                "rootfs": {"type": "layers", "diff_ids": [diff_id]},
            }))?,
        );
        let manifest = add_blob(
            &mut blobs,
            "application/vnd.oci.image.manifest.v1+json",
            serde_json::to_vec(&json!({
                "schemaVersion": 2,
                "mediaType": "application/vnd.oci.image.manifest.v1+json",
                "config": config.to_json(),
                "layers": [layer.to_json()],
            }))?,
        );

        let mut files: BTreeMap<String, File> = blobs
            .into_iter()
            .map(|(hex, content)| (blob_path(&hex), File::Regular(0o644, content)))
            .collect();
        for (path, content) in [
            ("oci-layout", json!({"imageLayoutVersion": "1.0.0"})),
            ("index.json", self.index(&manifest)),
            (
                "manifest.json",
                json!([{
                    "Config": blob_path(&config.hex),
                    "RepoTags": [self.name],
                    "Layers": [blob_path(&layer.hex)],
                }]),
            ),
        ] {
            files.insert(
                path.to_owned(),
                File::Regular(0o644, serde_json::to_vec(&content)?),
            );
        }
        tar(&files, to)?;
        Ok(format!("sha256:{}", manifest.hex))
    }

    /// The layout's way in. containerd takes the image's name from its own annotation, others from OCI's.
    fn index(&self, manifest: &Descriptor) -> Value {
        let mut entry = manifest.to_json();
        if let Some(fields) = entry.as_object_mut() {
            fields.insert(
                "annotations".to_owned(),
                json!({
                    "io.containerd.image.name": self.name,
                    "org.opencontainers.image.ref.name": self.name,
                }),
            );
            fields.insert(
                "platform".to_owned(),
                json!({"architecture": "amd64", "os": "linux"}),
            );
        }
        json!({
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [entry],
        })
    }

    /// The one layer, with an entry for each folder that only its content names.
    fn layer_archive(&self) -> Result<Vec<u8>> {
        let mut files = self.files.clone();
        for path in self.files.keys() {
            for (end, _) in path.match_indices('/') {
                if let Some(folder) = path.get(..end) {
                    files
                        .entry(folder.to_owned())
                        .or_insert(File::Folder(0o755));
                }
            }
        }
        let mut layer = Vec::new();
        tar(&files, &mut layer)?;
        Ok(layer)
    }
}

fn blob_path(hex: &str) -> String {
    format!("blobs/sha256/{hex}")
}

fn add_blob(
    blobs: &mut BTreeMap<String, Vec<u8>>,
    media_type: &'static str,
    content: Vec<u8>,
) -> Descriptor {
    let descriptor = Descriptor {
        media_type,
        hex: hex_digest(&content),
        size: content.len(),
    };
    blobs.insert(descriptor.hex.clone(), content);
    descriptor
}

fn hex_digest(content: &[u8]) -> String {
    format!("{:x}", HexDisplay(&Sha256::digest(content)))
}

fn gzip(content: &[u8]) -> Result<Vec<u8>> {
    let mut encoder: GzEncoder<Vec<u8>> =
        GzBuilder::new().write(Vec::new(), Compression::default());
    encoder.write_all(content)?;
    Ok(encoder.finish()?)
}

fn tar(files: &BTreeMap<String, File>, to: impl Write) -> Result<()> {
    let mut archive = tar::Builder::new(to);
    for (path, file) in files {
        let mut header = tar::Header::new_gnu();
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(0);
        match file {
            File::Regular(mode, content) => {
                header.set_entry_type(tar::EntryType::Regular);
                header.set_mode(*mode);
                header.set_size(u64::try_from(content.len())?);
                archive.append_data(&mut header, path, content.as_slice())?;
            }
            File::Folder(mode) => {
                header.set_entry_type(tar::EntryType::Directory);
                header.set_mode(*mode);
                archive.append_data(&mut header, format!("{path}/"), std::io::empty())?;
            }
            File::Link(target) => {
                header.set_entry_type(tar::EntryType::Symlink);
                header.set_mode(0o777);
                archive.append_link(&mut header, path, target)?;
            }
        }
    }
    archive.into_inner()?.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests;
