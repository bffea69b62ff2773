//! Verifications in tests: run to the end, with everything they find.

use onward::Onward;
use onward::internals::repo::verify::{Finding, VerifyEvent, VerifyOptions, VerifySummary};

/// Verifies repository `lake`, uploaded objects included.
pub async fn verify(onward: &Onward) -> (Vec<Finding>, VerifySummary) {
    let mut findings = Vec::new();
    let options = VerifyOptions { data: true };
    let summary = onward
        .repo("lake")
        .verify(options, &mut |event| {
            if let VerifyEvent::Finding(finding) = event {
                findings.push(finding.clone());
            }
        })
        .await
        .unwrap();
    assert_eq!(summary.findings, findings.len() as u64);
    (findings, summary)
}

/// Verifies repository `lake`, which must be sound.
pub async fn sound(onward: &Onward) -> VerifySummary {
    let (findings, summary) = verify(onward).await;
    assert!(findings.is_empty(), "{findings:#?}");
    summary
}
