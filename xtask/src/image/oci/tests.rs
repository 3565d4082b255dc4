//! An archive is read back as a runtime reads it: from index.json by digests to the files of the layer.

use std::io::Read as _;

use super::*;

fn test_image() -> Image {
    Image {
        name: "localhost/example:1".to_owned(),
        files: [
            ("bin/tool", File::Regular(0o755, b"#!".to_vec())),
            ("bin/link", File::Link("tool".to_owned())),
            ("tmp", File::Folder(0o1777)),
        ]
        .map(|(path, file)| (path.to_owned(), file))
        .into(),
        config: Config {
            entrypoint: vec!["/bin/tool".to_owned()],
            stop_signal: Some("SIGQUIT".to_owned()),
            ..Config::default()
        },
    }
}

fn archive(image: &Image) -> Vec<u8> {
    let mut bytes = Vec::new();
    image.write(&mut bytes).unwrap();
    bytes
}

fn members(bytes: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
    tar::Archive::new(bytes)
        .entries()
        .unwrap()
        .map(|entry| {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            if let Some(target) = entry.link_name().unwrap() {
                content = target.to_str().unwrap().as_bytes().to_vec();
            }
            let mode = entry.header().mode().unwrap();
            let path = entry.path().unwrap().to_str().unwrap().to_owned();
            (path, (mode, content))
        })
        .collect()
}

/// The blob that a descriptor names, after a look whether its digest and size are true.
fn read_blob(members: &BTreeMap<String, (u32, Vec<u8>)>, descriptor: &Value) -> Vec<u8> {
    let digest = descriptor["digest"].as_str().unwrap();
    let (_, content) = &members[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(format!("sha256:{}", hex_digest(content)), digest);
    assert_eq!(
        u64::try_from(content.len()).ok(),
        descriptor["size"].as_u64()
    );
    content.clone()
}

#[test]
fn everything_is_found_by_its_digest() {
    let blobs = members(&archive(&test_image()));
    let json = |bytes: &[u8]| serde_json::from_slice::<Value>(bytes).unwrap();
    let index = json(&blobs["index.json"].1);
    let entry = &index["manifests"][0];
    assert_eq!(
        entry["annotations"]["io.containerd.image.name"],
        "localhost/example:1"
    );
    let manifest = json(&read_blob(&blobs, entry));
    let config = json(&read_blob(&blobs, &manifest["config"]));
    assert_eq!(
        config["config"],
        json!({"Entrypoint": ["/bin/tool"], "StopSignal": "SIGQUIT"})
    );
    let mut layer = Vec::new();
    flate2::read::GzDecoder::new(read_blob(&blobs, &manifest["layers"][0]).as_slice())
        .read_to_end(&mut layer)
        .unwrap();
    assert_eq!(
        config["rootfs"]["diff_ids"][0],
        format!("sha256:{}", hex_digest(&layer))
    );
    let files: Vec<_> = members(&layer).into_iter().collect();
    assert_eq!(
        files,
        [
            ("bin/", 0o755, "".as_bytes()),
            ("bin/link", 0o777, b"tool"),
            ("bin/tool", 0o755, b"#!"),
            ("tmp/", 0o1777, b""),
        ]
        .map(|(path, mode, content)| (path.to_owned(), (mode, content.to_vec())))
    );
}

#[test]
fn docker_s_own_manifest_names_the_same_blobs() {
    let members = members(&archive(&test_image()));
    let docker: Value = serde_json::from_slice(&members["manifest.json"].1).unwrap();
    assert_eq!(docker[0]["RepoTags"][0], "localhost/example:1");
    for path in [&docker[0]["Config"], &docker[0]["Layers"][0]] {
        assert!(members.contains_key(path.as_str().unwrap()));
    }
}

#[test]
fn equal_content_gives_equal_bytes() {
    assert_eq!(archive(&test_image()), archive(&test_image()));
    let mut other = test_image();
    other.config.cmd.push("run".to_owned());
    assert_ne!(archive(&test_image()), archive(&other));
}
