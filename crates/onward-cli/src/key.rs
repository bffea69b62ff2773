//! `key`: create, list, rotate, delete.

use onward_server::auth::{AccessKey, Keys, NewKey};
use serde_json::{Value, json};

use super::args::{Global, KeyVerb};
use super::exit::{Done, Exit, Failure};
use super::out::{Out, printable};
use super::session::{confirm, with};
use super::shape::add;

/// Runs one of them.
pub async fn run(global: &Global, out: &Out, verb: KeyVerb) -> Done {
    with(global, async |onward| {
        let keys = Keys::new(onward.coordinator().objects().clone());
        match verb {
            KeyVerb::Create { name, role, id } => {
                show_new(out, &keys.create(role, &name, id.as_deref()).await?)?;
            }
            KeyVerb::List => {
                for key in keys.list().await? {
                    let text = format!("{}\t{}\t{}", key.id, key.role, printable(&key.name));
                    out.data(|| shape(&key), || text)?;
                }
            }
            KeyVerb::Rotate { id } => show_new(out, &keys.rotate(&id).await?)?,
            KeyVerb::Delete { id } => {
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
    out.note("the secret is not kept and not shown again: put it where it is needed");
    Ok(())
}

fn shape(key: &AccessKey) -> Value {
    json!({
        "access_key_id": key.id,
        "name": key.name,
        "role": key.role,
        "created_ms": key.created_ms,
        "rotated_ms": key.rotated_ms,
    })
}
