//! Settings of the sidecar: how clients of Iceberg tables reach the files of these in S3.

use std::time::Duration;

use onward::{Error, Result};
use onward_server::{IcebergAccess, VendedKey, VendedRole};

use super::args::duration;

/// The secret of the key for those who may write; not a flag, because everybody can read those.
const WRITE_SECRET_VARIABLE: &str = "ONWARD_ICEBERG_VENDED_SECRET";
/// That of the key for those who may read.
const READ_SECRET_VARIABLE: &str = "ONWARD_ICEBERG_VENDED_READ_SECRET";

/// How long a session lasts at least and at most: what STS gives.
const LIFETIMES: [Duration; 2] = [Duration::from_secs(900), Duration::from_secs(12 * 3600)];

#[derive(Debug, clap::Args)]
pub struct IcebergArgs {
    /// Where clients of Iceberg tables reach S3, if not where the sidecar does: https://s3.example.com
    #[arg(long, value_name = "URL", env = "ONWARD_ICEBERG_S3_ENDPOINT")]
    pub iceberg_s3_endpoint: Option<String>,
    /// A role whose sessions clients of Iceberg tables get, each cut to the folder of one table:
    /// arn:aws:iam::123456789012:role/tables; without it, or keys, they get no credentials
    #[arg(long, value_name = "ARN", env = "ONWARD_ICEBERG_VENDED_ROLE")]
    pub iceberg_vended_role: Option<String>,
    /// How long such a session lasts: 15m to 12h
    #[arg(
        long,
        value_name = "DUR",
        env = "ONWARD_ICEBERG_VENDED_LIFETIME",
        default_value = "1h",
        value_parser = duration
    )]
    pub iceberg_vended_lifetime: Duration,
    /// Where sessions come from, if not from Amazon: http://127.0.0.1:9000
    #[arg(long, value_name = "URL", env = "ONWARD_ICEBERG_STS_ENDPOINT")]
    pub iceberg_sts_endpoint: Option<String>,
    /// A key to S3 that clients of Iceberg tables get as it is, if their access key may write; its secret is in
    /// ONWARD_ICEBERG_VENDED_SECRET
    #[arg(long, value_name = "ID", env = "ONWARD_ICEBERG_VENDED_KEY_ID")]
    pub iceberg_vended_key_id: Option<String>,
    /// The same for those whose access key may read and no more; its secret is in
    /// ONWARD_ICEBERG_VENDED_READ_SECRET
    #[arg(long, value_name = "ID", env = "ONWARD_ICEBERG_VENDED_READ_KEY_ID")]
    pub iceberg_vended_read_key_id: Option<String>,
}

impl IcebergArgs {
    /// What the sidecar is to be told.
    pub fn access(self) -> Result<IcebergAccess> {
        let lifetime = self.iceberg_vended_lifetime;
        let [least, most] = LIFETIMES;
        if lifetime < least || lifetime > most {
            return Err(Error::invalid(
                "--iceberg-vended-lifetime is 15m at least and 12h at most, which is what STS gives",
            ));
        }
        let role = self.iceberg_vended_role.filter(|arn| !arn.is_empty());
        Ok(IcebergAccess {
            s3_endpoint: self.iceberg_s3_endpoint.filter(|url| !url.is_empty()),
            role: role.map(|arn| VendedRole { arn, lifetime }),
            sts_endpoint: self.iceberg_sts_endpoint.filter(|url| !url.is_empty()),
            write_key: key(self.iceberg_vended_key_id, "KEY_ID", WRITE_SECRET_VARIABLE)?,
            read_key: key(self.iceberg_vended_read_key_id, "READ_KEY_ID", READ_SECRET_VARIABLE)?,
        })
    }
}

fn key(id: Option<String>, name: &str, variable: &str) -> Result<Option<VendedKey>> {
    let secret = std::env::var(variable).ok().filter(|secret| !secret.is_empty());
    match (id.filter(|id| !id.is_empty()), secret) {
        (Some(id), Some(secret)) => Ok(Some(VendedKey { id, secret })),
        (None, None) => Ok(None),
        _ => Err(Error::invalid(format!(
            "ONWARD_ICEBERG_VENDED_{name} and {variable} go together: set both, or neither"
        ))),
    }
}
