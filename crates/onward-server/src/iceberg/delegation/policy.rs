//! What the session of a role may do: with the files below folders of a bucket, and nothing else.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session>: a session has what both its
//! role and this allow.

use serde_json::{Value, json};

/// The longest policy that a session may have, in characters.
const LEN_MAX: usize = 2048;

/// Characters that mean something in a policy, and would let it mean other folders.
const SPECIAL: [char; 3] = ['*', '?', '$'];

/// A policy for folders, each with a slash behind it, of a bucket: all that can be said of them, or the first alone.
/// None where that cannot be said.
pub fn policy(partition: &str, bucket: &str, folders: &[String], writes: bool) -> Option<String> {
    let first = folders.first().filter(|folder| !folder.contains(SPECIAL))?;
    let plain = folders.iter().filter(|folder| !folder.contains(SPECIAL)).cloned().collect();
    let all: Vec<String> = plain;
    let said = [all, vec![first.clone()]].map(|folders| text(partition, bucket, &folders, writes));
    said.into_iter().find(|text| text.len() <= LEN_MAX)
}

fn text(partition: &str, bucket: &str, folders: &[String], writes: bool) -> String {
    let bucket = format!("arn:{partition}:s3:::{bucket}");
    let objects: Vec<String> = folders.iter().map(|folder| format!("{bucket}/{folder}*")).collect();
    let prefixes: Vec<String> = folders.iter().map(|folder| format!("{folder}*")).collect();
    let mut actions = vec!["s3:GetObject"];
    if writes {
        actions.extend(["s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]);
    }
    let allow = |actions: Value, resource: Value| json!({"Effect": "Allow", "Action": actions, "Resource": resource});
    let mut list = allow(json!("s3:ListBucket"), json!(bucket));
    if let Some(list) = list.as_object_mut() {
        list.insert("Condition".to_owned(), json!({"StringLike": {"s3:prefix": prefixes}}));
    }
    json!({
        "Version": "2012-10-17",
        "Statement": [allow(json!(actions), json!(objects)), list],
    })
    .to_string()
}

/// The partition of AWS that a role is in: `aws`, or that of a region apart.
pub fn partition(role: &str) -> &str {
    let named = role.split(':').nth(1).unwrap_or_default();
    if named.starts_with("aws") { named } else { "aws" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_has_the_folders_of_its_table_and_a_readers_cannot_write() {
        let of = |writes| policy("aws", "lake", &["w/_iceberg/r/u/".to_owned()], writes).unwrap();
        let (reads, writes): (Value, Value) =
            (serde_json::from_str(&of(false)).unwrap(), serde_json::from_str(&of(true)).unwrap());
        assert_eq!(reads["Statement"][0]["Action"], json!(["s3:GetObject"]));
        let resources = json!(["arn:aws:s3:::lake/w/_iceberg/r/u/*"]);
        assert_eq!(reads["Statement"][0]["Resource"], resources);
        let condition = json!({"StringLike": {"s3:prefix": ["w/_iceberg/r/u/*"]}});
        assert_eq!(reads["Statement"][1]["Condition"], condition);
        assert!(
            writes["Statement"][0]["Action"].as_array().unwrap().contains(&json!("s3:PutObject"))
        );
        assert!(!of(true).contains("DeleteObject"));
    }

    #[test]
    fn a_folder_that_would_mean_others_has_none() {
        for folder in ["a/*/", "a/?/", "a/${aws:username}/"] {
            assert_eq!(policy("aws", "lake", &[folder.to_owned()], false), None, "{folder}");
            let both = ["t/".to_owned(), folder.to_owned()];
            let first = policy("aws", "lake", &both[..1], false);
            assert_eq!(policy("aws", "lake", &both, false), first, "{folder}");
        }
        let long = ["t/".to_owned(), "a".repeat(LEN_MAX)];
        assert_eq!(policy("aws", "lake", &long, true), policy("aws", "lake", &long[..1], true));
        assert_eq!(policy("aws", "lake", &long[1..], false), None);
        assert_eq!(partition("arn:aws-cn:iam::1:role/x"), "aws-cn");
        assert_eq!(partition("arn:other:iam:::x"), "aws");
    }
}
