//! The cluster's certificates: one authority for everything, as the parts of a cluster only ask that they trust it.
//! Which names stand for which roles: <https://kubernetes.io/docs/setup/best-practices/certificates/>.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::{NODE, address};

/// Somebody that the API server knows by a certificate.
#[derive(Clone, Copy, Debug)]
pub(super) struct User {
    /// Name of its files.
    pub(super) file: &'static str,
    name: &'static str,
    group: Option<&'static str>,
}

pub(super) const ADMIN: &str = "admin";

/// The roles of these names are built into the API server.
pub(super) const USERS: [User; 5] = [
    User {
        file: ADMIN,
        name: "admin",
        group: Some("system:masters"),
    },
    User {
        file: "controller-manager",
        name: "system:kube-controller-manager",
        group: None,
    },
    User {
        file: "scheduler",
        name: "system:kube-scheduler",
        group: None,
    },
    User {
        file: "proxy",
        name: "system:kube-proxy",
        group: None,
    },
    User {
        file: "node",
        name: "system:node:rig",
        group: Some("system:nodes"),
    },
];

/// The folder with all of them.
#[derive(Debug)]
pub(super) struct Pki {
    folder: PathBuf,
}

impl Pki {
    pub(super) fn create(folder: &Path) -> Result<Self> {
        let pki = Self {
            folder: folder.to_owned(),
        };
        let key = KeyPair::generate()?;
        let mut authority = params("gracewatch rig", None, &[])?;
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::DigitalSignature,
        ];
        pki.write("ca.crt", &authority.self_signed(&key)?.pem())?;
        let issuer = Issuer::new(authority, key);
        let api = [
            address(),
            SERVICE_ADDRESS,
            "127.0.0.1",
            "kubernetes.default.svc",
        ];
        pki.issue_certificate(&issuer, "apiserver", params("kube-apiserver", None, &api)?)?;
        pki.issue_certificate(&issuer, "kubelet", params(NODE, None, &[address(), NODE])?)?;
        for user in USERS {
            pki.issue_certificate(&issuer, user.file, params(user.name, user.group, &[])?)?;
        }
        let tokens = KeyPair::generate()?;
        pki.write("tokens.key", &tokens.serialize_pem())?;
        pki.write("tokens.pub", &tokens.public_key_pem())?;
        Ok(pki)
    }

    /// The path of a file: `NAME.crt`, `NAME.key`, `ca.crt`, `tokens.key`, `tokens.pub`.
    pub(super) fn path(&self, name: &str) -> String {
        self.folder.join(name).display().to_string()
    }

    fn issue_certificate(
        &self,
        issuer: &Issuer<'_, KeyPair>,
        name: &str,
        params: CertificateParams,
    ) -> Result<()> {
        let key = KeyPair::generate()?;
        let certificate = params.signed_by(&key, issuer)?;
        self.write(&format!("{name}.crt"), &certificate.pem())?;
        self.write(&format!("{name}.key"), &key.serialize_pem())
    }

    fn write(&self, name: &str, text: &str) -> Result<()> {
        let path = self.folder.join(name);
        fs::write(&path, text)
            .and_then(|()| fs::set_permissions(&path, fs::Permissions::from_mode(0o600)))
            .with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The first address of the services' range, which is the API server's.
pub(super) const SERVICE_ADDRESS: &str = "10.96.0.1";

fn params(name: &str, group: Option<&str>, alternatives: &[&str]) -> Result<CertificateParams> {
    let alternatives: Vec<_> = alternatives.iter().map(|&name| name.to_owned()).collect();
    let mut params = CertificateParams::new(alternatives)?;
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    params.use_authority_key_identifier_extension = true;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    Ok(params)
}
