//! `key`: create, list, rotate, delete.

use clap::Subcommand;
use onward_server::auth::{AccessKey, Keys, NewKey, Role};
use serde_json::{Value, json};

use super::args::Global;
use super::exit::{Done, Exit, Failure};
use super::out::{Out, printable};
use super::session::{confirm, connected};
use super::shape::add;

#[derive(Debug, Subcommand)]
pub enum KeyVerb {
    /// Make a key; its secret is shown this once
    #[command(
        after_help = "Examples:\n  onward key create --role write etl\n  onward key create --role read --id DASHBOARD grafana\n\nThe pair is for all that a sidecar speaks: HTTP and Iceberg, which are shown the secret, and S3, which is signed with it."
    )]
    Create {
        /// Whose it is: the name on commits
        name: String,
        /// What it allows: read, write or admin
        #[arg(long, value_name = "ROLE")]
        role: Role,
        /// Its id, if not one that is drawn
        #[arg(long, value_name = "ID")]
        id: Option<String>,
    },
    /// All keys, without their secrets; those of older programs cannot sign for S3
    #[command(after_help = "Example: onward key list")]
    List,
    /// Give a key a new secret; the old one stops working within seconds
    #[command(after_help = "Example: onward key rotate ONWARD0123456789ABCDEF")]
    Rotate {
        /// The key
        id: String,
    },
    /// Remove a key
    #[command(after_help = "Example: onward key delete ONWARD0123456789ABCDEF")]
    Delete {
        /// The key
        id: String,
    },
}

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: KeyVerb) -> Done {
    let begins = matches!(verb, KeyVerb::Create { .. });
    connected(global, begins, async |onward| {
        let keys = Keys::new(onward.coordinator().objects().clone());
        match verb {
            KeyVerb::Create { name, role, id } => {
                show_new(out, &keys.create(role, &name, id.as_deref()).await?)?;
            }
            KeyVerb::List => {
                for key in keys.list().await? {
                    let old = if key.sealed.is_some() { "" } else { "\tnot for S3: rotate it" };
                    let text = format!("{}\t{}\t{}{old}", key.id, key.role, printable(&key.name));
                    out.data(|| shape(&key), || text)?;
                }
            }
            KeyVerb::Rotate { id } => show_new(out, &keys.rotate(&id).await?)?,
            KeyVerb::Delete { id } => {
                keys.show(&id).await?;
                confirm(global, out, format!("access key '{id}' stops working for ever")).await?;
                keys.delete(&id).await?;
                if out.is_json() {
                    out.data(|| json!({"access_key_id": id, "deleted": true}), String::new)?;
                }
                out.note(&format!("deleted access key '{id}'"));
            }
        }
        Ok(Exit::Done)
    })
    .await
}

/// A key and its secret: the one time that it is shown.
fn show_new(out: &Out, new: &NewKey) -> Result<(), Failure> {
    out.data(
        || {
            let mut shape = shape(&new.key);
            add(&mut shape, "secret_access_key", new.secret.as_str());
            shape
        },
        || format!("access key id      {}\nsecret access key  {}", new.key.id, new.secret),
    )?;
    let may = match new.key.role {
        Role::Read => "look at everything",
        Role::Write => "look at everything and change what is in repositories",
        Role::Admin => "do everything",
    };
    out.note(&format!("it may {may}, over HTTP, Iceberg and S3"));
    out.note("the secret is not shown again: put it where it is needed");
    Ok(())
}

fn shape(key: &AccessKey) -> Value {
    json!({
        "access_key_id": key.id,
        "name": key.name,
        "role": key.role,
        "created_ms": key.created_ms,
        "rotated_ms": key.rotated_ms,
        "s3": key.sealed.is_some(),
    })
}
