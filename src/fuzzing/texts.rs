//! Targets: what people and stores name things. Whatever is accepted as a name stays inside its
//! folder of the store and inside its hash tag and key space of Redis.

use super::target::{Target, read, target};
use crate::coord::areas::Area;
use crate::coord::keys::{BranchKeys, branches_key};
use crate::coord::names::parse_uid;
use crate::model::address::{Address, RefExpr};
use crate::model::ids::{BranchUid, CommitId, OpId, RangeId, RunId, Ticket};
use crate::model::life::RepoLife;
use crate::model::name::{BranchName, RepoName, TagName};
use crate::model::path::ObjectPath;
use crate::objects::layout;
use crate::repo::protection::Action;

pub(super) const TARGETS: &[Target] = &[
    Target {
        samples: &[b"lake/main/a/b.csv", b"onward://lake/v1~2^1", b"lakefs://lake/main@/"],
        ..target("address", "", address)
    },
    Target { samples: &[b"main", b"v1.0~2^1~", b"main@", b"x$"], ..target("ref", "", reference) },
    Target {
        samples: &[b"lake", b"tx-1", "größe-1.0".as_bytes(), b"a..b", b"x.lock", b"{lake}:"],
        ..target("name", "", name)
    },
    Target { samples: &[b"a/b=1/c.parquet", b"../../etc/passwd"], ..target("path", "", path) },
    Target {
        samples: &[
            b"0123456789abcdef",
            b"000102030405060708090a0b0c0d0e0f",
            b"0193a6c2-7e1f-7c3a-9b1e-2f4d5a6b7c8d",
            b"000102030405060708090a0b0c0d0e0f0123456789abcdef0000000000010000",
        ],
        ..target("id", "", id)
    },
    Target {
        samples: &[
            b"lake/branches/main/0000000007.deleted",
            b"lake/log/000000000000feed/00000000000000000042",
            b"lake/tags/v1%2F%C3%A9",
            b"lake/ranges/03/03030303030303030303030303030303",
        ],
        ..target("key", "", key)
    },
    target("sealed-area", "sealed-area-", area),
];

fn text(bytes: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(bytes)
}

fn address(bytes: &[u8]) {
    if let Some(address) = read(text(bytes).parse::<Address>()) {
        let again: Address = address.to_string().parse().unwrap();
        assert_eq!(again, address);
        read(address.require_ref());
        read(address.require_branch());
        read(address.require_path());
    }
}

fn reference(bytes: &[u8]) {
    if let Some(expr) = read(text(bytes).parse::<RefExpr>()) {
        assert_eq!(expr.to_string().parse::<RefExpr>().unwrap(), expr);
        assert!(expr.modifiers.len() <= RefExpr::MAX_LEN);
        read(expr.as_branch());
    }
}

fn name(bytes: &[u8]) {
    let text = text(bytes);
    let name = read(RepoName::new(&*text)).unwrap_or_else(|| "lake".parse().unwrap());
    let repo = RepoLife::first(name.clone());
    if let Some(branch) = read(BranchName::new(&*text)) {
        let key = layout::branch(&repo, &branch, u32::MAX);
        inside(&key, &format!("{repo}/branches/{branch}/"));
        let parsed = layout::parse_branch(&key).unwrap();
        assert_eq!((parsed.name, parsed.incarnation), (branch, u32::MAX));
    }
    if let Some(tag) = read(TagName::new(&*text)) {
        let key = layout::tag(&repo, &tag);
        inside(&key, &format!("{repo}/tags/"));
        assert_eq!(layout::parse_tag(&key), Some(tag));
    }
    let keys = BranchKeys::new(&name, BranchUid(1));
    let (values, paths) = keys.area(OpId::of_bytes(bytes));
    for key in [&keys.head, &keys.queue, &keys.staged, &values, &paths] {
        one_tag(key, &format!("{repo}/{}", BranchUid(1)));
    }
    one_tag(&branches_key(&repo, &text), &repo.to_string());
}

/// A key of the store is one that the store takes, and below `folder`.
fn inside(key: &str, folder: &str) {
    assert!(key.starts_with(folder) && key.len() > folder.len(), "{key}");
    crate::objects::check_key(key).unwrap();
    assert!(!key.split('/').any(|part| matches!(part, "" | "." | "..")), "{key}");
}

/// A key of Redis has exactly one hash tag, and this one.
fn one_tag(key: &str, tag: &str) {
    let (_, rest) = key.split_once('{').unwrap();
    let (found, rest) = rest.split_once('}').unwrap();
    assert!(found == tag && !rest.contains(['{', '}', '\0']), "{key}");
}

fn path(bytes: &[u8]) {
    read(ObjectPath::from_utf8(bytes));
    if let Some(path) = read(ObjectPath::new(&*text(bytes))) {
        assert!(path.as_str().len() <= ObjectPath::MAX_LEN && !path.as_str().contains('\0'));
    }
}

fn id(bytes: &[u8]) {
    let text = text(bytes);
    if let Some(id) = read(text.parse::<CommitId>()) {
        assert_eq!(id.to_string(), text);
        assert!(id.first_ticket() <= Ticket::MAX);
    }
    if let Some(id) = read(text.parse::<OpId>()) {
        assert_eq!(id.to_string(), text.to_lowercase());
    }
    read(text.parse::<RangeId>());
    read(text.parse::<RunId>());
    read(text.parse::<BranchUid>());
    read(parse_uid(bytes));
    read(text.parse::<Action>());
}

fn key(bytes: &[u8]) {
    let text = text(bytes);
    let repo = layout::parse_life(&text);
    if let Some(tag) = layout::parse_tag(&text)
        && let Some(repo) = &repo
    {
        assert_eq!(layout::tag(repo, &tag), text, "one name has one key");
    }
    if let Some((uid, first)) = layout::parse_log_entry(&text)
        && let Some(repo) = &repo
    {
        assert_eq!(layout::log_entry(repo, uid, first), text);
    }
    layout::parse_branch(&text);
    layout::parse_checkpoint(&text);
    layout::parse_range(&text);
    layout::parse_run(&text);
    layout::parse_data(&text);
    if crate::objects::check_key(&text).is_ok() {
        assert!(!text.starts_with('/') && !text.split('/').any(|part| part == ".."));
    }
}

fn area(bytes: &[u8]) {
    read(Area::parse(&bytes.to_vec().into()));
}
