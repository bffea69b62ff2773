//! What the session of a role may do: with the files below folders of a bucket, and nothing else.
//!
//! <https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies.html#policies_session>: a session has what both its
//! role and this allow.

use serde_json::{Value, json};

/// The longest policy that a session may have, in characters.
const LEN_MAX: usize = 2048;

/// Characters that mean something in a policy, and would let it mean other folders.
const SPECIAL: [char; 3] = ['*', '?', '$'];

/// The last character that a policy may have:
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRole.html>.
const LAST: char = '\u{ff}';

/// Policies for folders, each with a slash behind it, of a bucket, the one that says most first: of all that can be said
/// of them, and of the first alone. None where that cannot be said.
pub fn policies(partition: &str, bucket: &str, folders: &[String], writes: bool) -> Vec<String> {
    let can_be_said = |folder: &&String| {
        !folder.contains(|char: char| SPECIAL.contains(&char) || char.is_control() || char > LAST)
    };
    let Some(first) = folders.first().filter(can_be_said) else { return Vec::new() };
    let all: Vec<String> = folders.iter().filter(can_be_said).cloned().collect();
    let mut said = vec![all, vec![first.clone()]];
    said.dedup();
    let said = said.iter().map(|folders| text(partition, bucket, folders, writes));
    said.filter(|text| text.len() <= LEN_MAX).collect()
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
        let of =
            |writes| policies("aws", "lake", &["w/_iceberg/r/u/".to_owned()], writes).remove(0);
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
        let of = |folders: &[String], writes| policies("aws", "lake", folders, writes);
        // The last two are letters that STS takes in no policy.
        for folder in ["a/*/", "a/?/", "a/${aws:username}/", "a/Ω/", "a/\u{7}/"] {
            assert_eq!(of(&[folder.to_owned()], false), [""; 0], "{folder}");
            let both = ["t/".to_owned(), folder.to_owned()];
            assert_eq!(of(&both, false), of(&both[..1], false), "{folder}");
        }
        assert_eq!(of(&["ü/".to_owned()], false).len(), 1);
        let long = ["t/".to_owned(), "a".repeat(LEN_MAX)];
        assert_eq!(of(&long, true), of(&long[..1], true));
        assert_eq!(of(&long[1..], false), [""; 0]);
        // Where the first is refused for its size, the second says less.
        let two = of(&["t/".to_owned(), "u/".to_owned()], true);
        assert_eq!((two.len(), &two[1..]), (2, &of(&["t/".to_owned()], true)[..]));
        assert_eq!(partition("arn:aws-cn:iam::1:role/x"), "aws-cn");
        assert_eq!(partition("arn:other:iam:::x"), "aws");
    }
}
