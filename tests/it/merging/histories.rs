//! Random histories of several branches, with merges, reverts and cherry-picks that are overtaken
//! while they wait: everything comes out as a plain merge of maps at the moment of its turn.

use std::collections::BTreeSet;
use std::time::Duration;

use futures::TryStreamExt;
use onward::internals::commit::op::merge::MergeLimits;
use onward::internals::repo::{Repository, TicketHandle};
use onward::internals::tree::{ListItem, ListRequest};
use onward::{CommitId, Onward, Outcome, RefExpr, Strategy as OnConflict};
use proptest::prelude::*;

use super::model::{Changes, Content, Graph, Merged, Node, Strategy as Rule, apply, merge};
use crate::support::branch::{Ghost, keys};
use crate::support::lake::{Deployment, entry};
use crate::support::seed::campaign;

const PATIENCE: Duration = Duration::from_secs(60);
const BRANCHES: [&str; 3] = ["b0", "b1", "b2"];

/// Something that moves a head.
#[derive(Debug, Clone)]
enum Move {
    Commit(Changes),
    Merge {
        from: usize,
        rule: Rule,
        squash: bool,
    },
    /// Of the n-th commit back along first parents.
    Revert(u32),
    CherryPick {
        from: usize,
    },
    /// To the n-th commit back.
    Reset(u32),
}

#[derive(Debug, Clone)]
enum Step {
    /// On a branch besides main, at once.
    Aside(usize, Move),
    /// On main, all accepted before any of them is decided.
    Together(Vec<(Move, Option<(usize, Changes)>)>),
}

#[derive(Debug, Clone)]
struct Case {
    limits: (usize, usize, usize),
    steps: Vec<Step>,
}

fn changes() -> impl Strategy<Value = Changes> {
    let path = prop::sample::select(vec!["a/0", "a/1", "a/2", "b/0", "b/1", "c", "d/0", "d/1"]);
    // Few values, so that both sides often make the same change.
    let value = prop_oneof![3 => (1..4usize).prop_map(Some), 1 => Just(None)];
    prop::collection::btree_map(path.prop_map(str::to_owned), value, 1..4)
}

fn rule() -> impl Strategy<Value = Rule> {
    prop_oneof![3 => Just(Rule::Fail), 1 => Just(Rule::SourceWins), 1 => Just(Rule::DestWins)]
}

/// `from`: 0 to 2 are the branches, 3 is main.
fn a_move(resets: bool) -> impl Strategy<Value = Move> {
    let reset = if resets { 1 } else { 0 };
    prop_oneof![
        4 => changes().prop_map(Move::Commit),
        6 => (0..4usize, rule(), prop::bool::weighted(0.2))
            .prop_map(|(from, rule, squash)| Move::Merge { from, rule, squash }),
        1 => (0..3u32).prop_map(Move::Revert),
        1 => (0..4usize).prop_map(|from| Move::CherryPick { from }),
        reset => (0..4u32).prop_map(Move::Reset),
    ]
}

fn case() -> impl Strategy<Value = Case> {
    let aside = (0..3usize, a_move(false)).prop_map(|(branch, step)| Step::Aside(branch, step));
    // Between two ops that wait, a branch may move on: the next merge has another source.
    let between = prop::option::weighted(0.3, (0..3usize, changes()));
    let together = prop::collection::vec((a_move(true), between), 1..9).prop_map(Step::Together);
    let limits = (
        prop::sample::select(vec![0, 2, 512]),
        prop::sample::select(vec![0, 4096]),
        prop::sample::select(vec![0, 1, 100_000]),
    );
    let steps = prop::collection::vec(prop_oneof![3 => aside, 2 => together], 2..9);
    (limits, steps).prop_map(|(limits, steps)| Case { limits, steps })
}

struct World {
    deployment: Deployment,
    onward: Onward,
    repo: Repository,
    graph: Graph,
    /// Heads of b0, b1, b2, main.
    heads: [CommitId; 4],
}

/// What the model says of a submitted op.
enum Expected {
    /// It ended before it was queued.
    Early(Merged),
    Queued(Plan),
}

/// What is decided in an op's turn.
#[derive(Debug, Clone)]
enum Plan {
    Commit(Changes),
    Merge {
        source: CommitId,
        rule: Rule,
        squash: bool,
    },
    /// From, to.
    Apply(Option<CommitId>, Option<CommitId>),
    Reset(CommitId),
}

fn name_of(branch: usize) -> &'static str {
    BRANCHES.get(branch).copied().unwrap_or("main")
}

impl World {
    async fn new(limits: (usize, usize, usize)) -> Self {
        let deployment = Deployment::new();
        let mut config = deployment.config();
        let (few, beside_bytes, crossings) = limits;
        config.coordinator.lake.merge = MergeLimits { few, beside_bytes, crossings };
        let onward = Onward::with_objects(config, deployment.objects.clone()).await.unwrap();
        let repo = onward.repo("lake");
        repo.create(&"main".parse().unwrap()).await.unwrap();
        let first = repo.commit_of(&RefExpr::plain("main")).await.unwrap().unwrap();
        for name in BRANCHES {
            repo.branch(name).create(&RefExpr::plain("main")).await.unwrap();
        }
        let mut world =
            Self { deployment, onward, repo, graph: Graph::default(), heads: [first; 4] };
        world.add(first, Content::new()).await;
        world
    }

    /// Takes a commit into the model, with the content that it has to have.
    async fn add(&mut self, id: CommitId, content: Content) {
        let commit = self.repo.commit(&id).await.unwrap();
        let node = Node {
            parents: commit.parents,
            generation: commit.generation,
            created_ms: commit.created_ms,
            content: content.clone(),
        };
        self.graph.nodes.insert(id, node);
        assert_eq!(self.read(id).await, content, "content of {id}");
    }

    async fn read(&self, id: CommitId) -> Content {
        let reference = RefExpr::plain(id.to_string());
        let page = self.repo.list(&reference, &ListRequest::default()).await.unwrap();
        let found = page.items.into_iter().map(|item| match item {
            ListItem::Object(path, entry) => (path.to_string(), entry.size as usize),
            ListItem::CommonPrefix(prefix) => panic!("{prefix}"),
        });
        found.collect()
    }

    /// Submits a move, and says what the model makes of it by the head as it is now.
    async fn submit(&self, branch: usize, step: &Move) -> (TicketHandle, Expected) {
        let target = self.repo.branch(name_of(branch));
        let head = self.heads[branch];
        match step {
            Move::Commit(changes) => {
                let mut change = target.change();
                for (path, to) in changes {
                    change = match to {
                        Some(n) => change.put(path, entry(*n)),
                        None => change.delete(path),
                    };
                }
                let handle = change.submit().await.unwrap();
                (handle, Expected::Queued(Plan::Commit(changes.clone())))
            }
            Move::Merge { from, rule, squash } => {
                let source = self.heads[*from];
                let strategy = match rule {
                    Rule::Fail => OnConflict::Fail,
                    Rule::SourceWins => OnConflict::SourceWins,
                    Rule::DestWins => OnConflict::DestWins,
                };
                let merge = target.merge(RefExpr::plain(source.to_string()));
                let handle = merge.strategy(strategy).squash(*squash).submit().await.unwrap();
                let plan = Plan::Merge { source, rule: *rule, squash: *squash };
                (handle, self.expected(head, plan))
            }
            Move::Revert(back) => {
                let mut at = head;
                for _ in 0..*back {
                    at = self.graph.nodes[&at].parents.first().copied().unwrap_or(at);
                }
                let (number, parent) = self.parent(at);
                let reference = RefExpr::plain(at.to_string());
                let handle = target.revert(reference, number).submit().await.unwrap();
                (handle, self.expected(head, Plan::Apply(Some(at), parent)))
            }
            Move::CherryPick { from } => {
                let at = self.heads[*from];
                let (number, parent) = self.parent(at);
                let reference = RefExpr::plain(at.to_string());
                let handle = target.cherry_pick(reference, number).submit().await.unwrap();
                (handle, self.expected(head, Plan::Apply(parent, Some(at))))
            }
            Move::Reset(_) => panic!("resets are not submitted"),
        }
    }

    fn parent(&self, id: CommitId) -> (Option<u32>, Option<CommitId>) {
        let parents = &self.graph.nodes[&id].parents;
        ((parents.len() > 1).then_some(1), parents.first().copied())
    }

    /// What a plan comes to on a head.
    fn merged(&self, head: CommitId, plan: &Plan) -> Merged {
        let dest = self.graph.content(Some(head));
        match plan {
            // Removals of what is not there are no commit.
            Plan::Commit(changes)
                if changes.iter().all(|(path, to)| to.is_none() && !dest.contains_key(path)) =>
            {
                Merged::Nothing
            }
            Plan::Commit(changes) => Merged::Content(apply(&dest, changes), changes.len()),
            Plan::Merge { source, rule, .. } => {
                let base = self.graph.merge_base(head, *source);
                merge(&self.graph.content(base), &self.graph.content(Some(*source)), &dest, *rule)
            }
            Plan::Apply(from, to) => {
                let (from, to) = (self.graph.content(*from), self.graph.content(*to));
                match merge(&from, &to, &dest, Rule::Fail) {
                    Merged::Content(_, 0) => Merged::Nothing,
                    merged => merged,
                }
            }
            Plan::Reset(to) => Merged::Content(self.graph.content(Some(*to)), 0),
        }
    }

    fn expected(&self, head: CommitId, plan: Plan) -> Expected {
        match self.merged(head, &plan) {
            Merged::Content(..) => Expected::Queued(plan),
            ended => Expected::Early(ended),
        }
    }

    /// Compares an outcome with the model in the op's turn, and takes it into the model.
    async fn check(&mut self, branch: usize, expected: Expected, outcome: Outcome) {
        let head = self.heads[branch];
        let (merged, plan) = match expected {
            Expected::Early(merged) => (merged, None),
            Expected::Queued(plan) => (self.merged(head, &plan), Some(plan)),
        };
        match (merged, outcome) {
            (Merged::Nothing, Outcome::NoChanges { .. }) => {}
            (Merged::Conflict(paths), Outcome::Conflict { paths: found, total, .. }) => {
                let found: BTreeSet<String> = found.iter().map(|c| c.path.to_string()).collect();
                assert_eq!((found.len() as u64, found), (total, paths));
            }
            (Merged::Content(content, _), Outcome::Committed { commit, .. }) => {
                self.add(commit, content).await;
                let parents = &self.graph.nodes[&commit].parents;
                match plan {
                    Some(Plan::Merge { source, squash: false, .. }) => {
                        assert_eq!(*parents, [head, source]);
                    }
                    _ => assert_eq!(*parents, [head]),
                }
                self.heads[branch] = commit;
            }
            (merged, outcome) => panic!("{plan:?}: {merged:?} expected, {outcome:?} found"),
        }
    }

    async fn aside(&mut self, branch: usize, step: &Move) {
        let (mut handle, expected) = self.submit(branch, step).await;
        let outcome = handle.wait(PATIENCE).await.unwrap();
        self.check(branch, expected, outcome).await;
    }

    async fn together(&mut self, moves: &[(Move, Option<(usize, Changes)>)]) {
        let ghost = {
            let keys = keys(&self.deployment.objects, "main").await;
            Ghost::haunt(&self.deployment.redis, &keys)
        };
        let mut waiting = Vec::new();
        for (step, between) in moves {
            if let Move::Reset(back) = step {
                let mut at = self.heads[3];
                for _ in 0..*back {
                    at = self.graph.nodes[&at].parents.first().copied().unwrap_or(at);
                }
                let depth = self.repo.branch("main").queue(1).await.unwrap().depth;
                let main = self.repo.branch("main");
                let reset = tokio::spawn(async move {
                    main.reset_to(&RefExpr::plain(at.to_string())).await.unwrap();
                });
                crate::support::until::until_async("the reset is queued", async || {
                    self.repo.branch("main").queue(1).await.unwrap().depth > depth
                })
                .await;
                waiting.push((Err(reset), Expected::Queued(Plan::Reset(at))));
            } else {
                let (handle, expected) = self.submit(3, step).await;
                waiting.push((Ok(handle), expected));
            }
            if let Some((branch, changes)) = between {
                self.aside(*branch, &Move::Commit(changes.clone())).await;
            }
        }
        drop(ghost);
        for (handle, expected) in waiting {
            match (handle, expected) {
                (Ok(mut handle), expected) => {
                    let outcome = handle.wait(PATIENCE).await.unwrap();
                    self.check(3, expected, outcome).await;
                }
                (Err(reset), Expected::Queued(Plan::Reset(to))) => {
                    reset.await.unwrap();
                    self.heads[3] = to;
                }
                (Err(_), _) => panic!("a reset is always queued"),
            }
        }
    }

    /// Every commit still has its content, and the branch its line of first parents.
    async fn finish(&self) {
        let head = self.repo.commit_of(&RefExpr::plain("main")).await.unwrap();
        assert_eq!(head, Some(self.heads[3]));
        for (id, node) in &self.graph.nodes {
            assert_eq!(self.read(*id).await, node.content, "{id} later on");
        }
        let a = RefExpr::plain(self.heads[3].to_string());
        for source in &self.heads[..3] {
            let b = RefExpr::plain(source.to_string());
            let base = self.graph.merge_base(self.heads[3], *source);
            assert_eq!(self.repo.merge_base(&a, &b).await.unwrap(), base);
            let bases = self.graph.content(base);
            let source = self.graph.content(Some(*source));
            let stream = self.repo.three_way_diff(&a, &b, Default::default()).await.unwrap();
            let ruled: Vec<_> = stream.try_collect().await.unwrap();
            let all = bases.keys().chain(source.keys()).collect::<BTreeSet<_>>();
            let changed = all.into_iter().filter(|path| bases.get(*path) != source.get(*path));
            let found: Vec<String> = ruled.iter().map(|r| r.path.to_string()).collect();
            assert_eq!(found, changed.cloned().collect::<Vec<_>>());
        }
        self.onward.close().await;
    }
}

#[test]
fn merges_come_out_as_plain_merges_in_their_turn() {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    campaign(&case(), 12, |case| {
        runtime.block_on(async {
            let mut world = World::new(case.limits).await;
            for step in &case.steps {
                match step {
                    Step::Aside(branch, step) => world.aside(*branch, step).await,
                    Step::Together(moves) => world.together(moves).await,
                }
            }
            world.finish().await;
        });
        Ok(())
    });
}
