//! Whatever the runs and however they are stacked, the tree says what the model says.

use std::collections::BTreeSet;

use futures::TryStreamExt;
use proptest::prelude::*;

use super::model::{Built, Content, PATHS, RunSpec, World, any_world, build};
use super::run;
use crate::model::error::ErrorKind;
use crate::model::path::ObjectPath;
use crate::tree::rule::same;
use crate::tree::{ChangeSet, Diff, Level, ListItem, ListRequest, Metarange, RunPlace, ScanStart};

fn prefixes() -> impl Strategy<Value = String> {
    prop::sample::select(vec!["", "a", "a/", "b/", "dir/", "dir/1", "é", "nothing", "z", "cut/"])
        .prop_map(String::from)
}

fn in_scope(path: &ObjectPath, prefix: &str, after: Option<&str>) -> bool {
    path.as_str().starts_with(prefix) && after.is_none_or(|after| path.as_str() > after)
}

fn start(prefix: &str, after: Option<&str>) -> ScanStart {
    match after {
        None => ScanStart::prefix(prefix),
        Some(after) => ScanStart::prefix(prefix).after(after),
    }
}

async fn content_of(built: &Built, metarange: &Metarange) -> Content {
    built.tree.scan(metarange.clone(), ScanStart::all()).try_collect().await.unwrap()
}

/// The items of a whole listing, by the model.
fn listing(content: &Content, prefix: &str, delimiter: Option<&str>) -> Vec<String> {
    let mut names = BTreeSet::new();
    for path in content.keys().map(ObjectPath::as_str) {
        let Some(rest) = path.strip_prefix(prefix) else { continue };
        let common =
            delimiter.and_then(|delimiter| rest.find(delimiter).map(|at| at + delimiter.len()));
        names.insert(path[..common.map_or(path.len(), |at| prefix.len() + at)].to_owned());
    }
    names.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(192))]

    #[test]
    fn lookups_and_scans_equal_the_model(world in any_world(), prefix in prefixes(), after in 0..PATHS.len()) {
        run(async {
            let built = build(&world).await;
            let (metarange, content) = (&built.stacks[0], &built.contents[0]);
            let found = built.tree.get_many(metarange, &PATHS).await.unwrap();
            for (path, found) in PATHS.iter().zip(found) {
                assert_eq!(found.as_ref(), content.get(path));
                assert_eq!(built.tree.get(metarange, path).await.unwrap(), found);
            }
            for after in [None, Some(PATHS[after].as_str())] {
                let scanned: Content = built.tree
                    .scan(metarange.clone(), start(&prefix, after)).try_collect().await.unwrap();
                let mut wanted = content.clone();
                wanted.retain(|path, _| in_scope(path, &prefix, after));
                assert_eq!(scanned, wanted);
            }
            let at = PATHS[after].as_str();
            let scanned: Content = built.tree
                .scan(metarange.clone(), ScanStart::all().at(at)).try_collect().await.unwrap();
            assert!(scanned.keys().eq(content.keys().filter(|path| path.as_str() >= at)));
        });
    }

    #[test]
    fn pages_of_listings_equal_the_model(
        world in any_world(),
        prefix in prefixes(),
        delimiter in prop::sample::select(vec![None, Some("/"), Some("//"), Some("/f"), Some("é")]),
        amount in 1..5usize,
    ) {
        run(async {
            let built = build(&world).await;
            let (metarange, content) = (&built.stacks[0], &built.contents[0]);
            let mut request = ListRequest {
                prefix: prefix.clone(),
                after: None,
                delimiter: delimiter.map(String::from),
                amount,
            };
            let mut names = Vec::new();
            loop {
                let page = built.tree.list(metarange, &request).await.unwrap();
                assert!(page.items.len() <= amount);
                for item in &page.items {
                    names.push(item.name().to_owned());
                    if let ListItem::Object(path, entry) = item {
                        assert_eq!(Some(entry), content.get(path));
                    }
                }
                if page.next.is_none() {
                    break;
                }
                assert_eq!(page.items.len(), amount, "a page is short only at the end");
                request.after = page.next;
            }
            assert_eq!(names, listing(content, &prefix, delimiter));
        });
    }

    #[test]
    fn differences_equal_the_model(world in any_world(), prefix in prefixes(), after in 0..PATHS.len()) {
        run(async {
            let built = build(&world).await;
            let [a, b] = &built.contents;
            for after in [None, Some(PATHS[after].as_str())] {
                let found: Vec<Diff> = built.tree
                    .diff(built.stacks[0].clone(), built.stacks[1].clone(), start(&prefix, after))
                    .try_collect().await.unwrap();
                let paths: BTreeSet<_> = a.keys().chain(b.keys()).collect();
                let wanted: Vec<Diff> = paths.into_iter()
                    .filter(|path| in_scope(path, &prefix, after))
                    .filter(|path: &&ObjectPath| !same(a.get(*path), b.get(*path)))
                    .map(|path| Diff {
                        path: path.clone(),
                        before: a.get(path).cloned(),
                        after: b.get(path).cloned(),
                    })
                    .collect();
                assert_eq!(found, wanted);
            }
        });
    }

    #[test]
    fn folds_keep_the_content_and_forget_how_it_came(world in any_world(), from in 0..5usize, len in 0..6usize) {
        run(async {
            let built = build(&world).await;
            let levels = &built.stacks[0].levels;
            let from = from.min(levels.len());
            let to = (from + len).min(levels.len());
            let bottom = to == levels.len();
            let folded = built.tree.fold(&levels[from..to], bottom).await.unwrap();
            let run = match folded {
                ChangeSet::Large(run) => run.as_ref().clone(),
                ChangeSet::Small(records) => {
                    assert!(records.iter().all(|record| record.op == 0));
                    let mut writer = built.tree.run_writer();
                    for record in records {
                        writer.push(record).await.unwrap();
                    }
                    writer.finish().await.unwrap()
                }
            };
            assert!(!run.conditions);
            assert!(!bottom || run.deletes == 0);
            built.tree.verify_run(&run).await.unwrap();
            let mut stack = levels.clone();
            stack.splice(from..to, [Level::as_of(run.clone().into(), 0)]);
            assert_eq!(content_of(&built, &Metarange { levels: stack }).await, built.contents[0]);
            // Folding everything gives the run one would have written in the first place.
            let all = built.tree.fold(levels, true).await.unwrap();
            let mut writer = built.tree.run_writer();
            if let ChangeSet::Large(all) = all {
                for (path, entry) in &built.contents[0] {
                    let mut value = Vec::new();
                    let change = crate::model::change::Change::Put(entry.clone());
                    crate::model::change::encode_value(&change, None, &mut value);
                    let record = crate::tree::Record { path: path.clone(), op: 0, value: value.into() };
                    writer.push(record).await.unwrap();
                }
                assert_eq!(writer.finish().await.unwrap(), *all);
            }
        });
    }

    #[test]
    fn op_runs_merge_into_the_run_of_their_batch(world in any_world()) {
        run(async {
            let built = build(&world).await;
            let levels = &built.stacks[0].levels;
            let mut records = Vec::new();
            // The oldest level is the first op of the batch.
            for (op, level) in (0..levels.len() as u16).rev().zip(levels) {
                let start = ScanStart::all();
                let mut scan = built.tree.scan_run(level.run.clone(), level.as_of, start);
                while let Some(record) = scan.try_next().await.unwrap() {
                    records.push(crate::tree::Record { op, ..record });
                }
            }
            records.sort_by(|a, b| a.path.cmp(&b.path).then(b.op.cmp(&a.op)));
            let batch = std::sync::Arc::new(built.tree.write_run(records).await.unwrap());
            for op in 0..levels.len() {
                let as_of = Metarange { levels: vec![Level::as_of(batch.clone(), op as u16)] };
                let stacked = Metarange { levels: levels[levels.len() - 1 - op..].to_vec() };
                assert_eq!(content_of(&built, &as_of).await, content_of(&built, &stacked).await);
            }
        });
    }
}

#[test]
fn equal_ranges_as_of_different_ops_are_no_common_ground() {
    // The first range, up to a path that ends it, has two versions and is in both runs.
    let cut = PATHS.iter().position(|path| path.as_str().starts_with("cut/")).unwrap();
    let shared = vec![(cut, 0, Some(0), false), (cut, 1, Some(2), false)];
    let with = |value| [shared.clone(), vec![(cut + 1, 0, Some(value), false)]].concat();
    let runs = [0, 2].map(|value| RunSpec { records: with(value), inline: false }).to_vec();
    let world = World { runs, stacks: [vec![(0, 0)], vec![(1, 1)]] };
    run(async {
        let built = build(&world).await;
        let [before, after] = built.stacks.clone();
        let found: Vec<Diff> =
            built.tree.diff(before, after, ScanStart::all()).try_collect().await.unwrap();
        assert_eq!(found.len(), 2);
    });
}

#[test]
fn records_out_of_order_are_a_bug_of_the_caller() {
    run(async {
        let built = build(&World { runs: vec![], stacks: [vec![], vec![]] }).await;
        let record = |path: &str, op| crate::tree::Record {
            path: path.parse().unwrap(),
            op,
            value: bytes::Bytes::from_static(&[0]),
        };
        for (first, second) in [(("b", 0), ("a", 0)), (("a", 0), ("a", 0)), (("a", 1), ("a", 2))] {
            let mut writer = built.tree.run_writer();
            writer.push(record(first.0, first.1)).await.unwrap();
            let error = writer.push(record(second.0, second.1)).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Internal);
        }
        let empty = built.tree.run_writer().finish().await.unwrap();
        assert_eq!(empty.place, RunPlace::Ranges(vec![]));
        built.tree.verify_run(&empty).await.unwrap();
    });
}
