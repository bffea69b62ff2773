//! Runs the sink until it is told to stop, has read everything, or something is wrong.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use onward::Onward;
use onward_kafka::{Event, Kafka, LinkedStore, ReplyTopic, Sink, Stop};

use super::super::args::Global;
use super::super::exit::{Done, Exit};
use super::super::out::Out;
use super::super::session::{ask_checks, blocking, branch_above, config};
use super::super::signals::Signals;
use super::args::{FormatArg, KafkaArgs};
use super::plan::Plan;
use super::schema;
use super::watch::Watch;

/// Between two pictures of the progress.
const PICTURE: Duration = Duration::from_millis(200);

/// Runs it.
pub async fn run(global: &Global, out: &Out, args: KafkaArgs) -> Done {
    let args = args.whole()?;
    let plan = Plan::of(&args)?;
    if args.changes || args.format != Some(FormatArg::Parquet) {
        // What is wrong is told before anything is connected to.
        plan.settings(&args, None)?;
    }
    let onward = Onward::connect(config(global).await?).await?;
    ask_checks(&onward)?;
    let done = sink(&onward, out, &args, plan).await;
    onward.close().await;
    done
}

async fn sink(onward: &Onward, out: &Out, args: &KafkaArgs, plan: Plan) -> Done {
    let branch = branch_above(onward, &plan.into)?;
    branch.show().await?;
    let schema = match (args.format, &args.schema) {
        (Some(FormatArg::Parquet), Some(path)) => Some(schema::given(path)?),
        (Some(FormatArg::Parquet), None) => Some(schema::kept(&branch, &plan, out).await?),
        _ => None,
    };
    let settings = plan.settings(args, schema)?;
    let mut sink = Sink::new(branch.repository(), plan.branch.as_str(), settings)?;
    if let Some(url) = &args.store_url {
        sink = sink.store(Arc::new(LinkedStore::new(onward.elsewhere(url, &[])?)));
    }
    let mut signals = Signals::listen(*out)?;
    let reply_topic = args.reply_topic.clone();
    let (kafka, replies) = blocking(move || {
        // What is wrong with it is told before the group is joined.
        let replies = reply_topic.map(|topic| ReplyTopic::connect(&plan.client, &topic));
        let replies = replies.transpose()?;
        Ok((Kafka::connect(&plan.client, &plan.group, &plan.topics)?, replies))
    })
    .await?;
    if let Some(replies) = replies {
        sink = sink.replies(replies);
    }

    let watch = Arc::new(Mutex::new(Watch::new(*out)));
    let stop = Stop::new();
    let told = Arc::clone(&watch);
    let running = sink.run(kafka, stop.clone(), move |event: Event| {
        told.lock().unwrap_or_else(PoisonError::into_inner).tell(event);
    });
    tokio::pin!(running);
    let mut pictures = tokio::time::interval(PICTURE);
    let mut is_told = false;
    let report = loop {
        tokio::select! {
            report = &mut running => break report,
            () = signals.caught(), if !is_told => {
                is_told = true;
                out.note("ending: what was read is committed; once more ends at once");
                stop.stop();
            }
            _ = pictures.tick() => {
                watch.lock().unwrap_or_else(PoisonError::into_inner).draw();
            }
        }
    };
    watch.lock().unwrap_or_else(PoisonError::into_inner).end(&report?)?;
    Ok(Exit::Done)
}
