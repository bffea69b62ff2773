//! What pages of content show.

use super::visit::Visit;
use super::{LAKE, branch, fork, put, upload};
use crate::support::sidecar::Sidecar;

#[tokio::test(flavor = "multi_thread")]
async fn branches_say_how_far_they_have_gone_apart_from_the_default_one() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    let work = fork(&sidecar, "work", "main").await;
    for n in 0..3 {
        put(&main, &format!("main/{n}"), "main").await;
    }
    put(&work, "work", "work").await;
    let page = Visit::of(&sidecar).await.page(LAKE).await;
    let row = page.text.split("<tr>").find(|row| row.contains(">work</a>")).unwrap();
    let cells: Vec<&str> =
        row.split("<td>").skip(1).map(|cell| cell.split("</td>").next().unwrap()).collect();
    assert_eq!(cells[1..3], ["1", "3"], "{row}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_is_shown_with_its_lines_and_goes_on_where_a_page_ends() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    for n in 0..30 {
        put(&main, "main", &format!("on main {n}")).await;
    }
    let side = fork(&sidecar, "side", "main").await;
    for n in 0..30 {
        put(&side, "side", &format!("on side {n}")).await;
        put(&main, "main", &format!("beside {n}")).await;
    }
    main.merge("side".parse().unwrap())
        .message("brought")
        .commit()
        .await
        .unwrap()
        .commit()
        .unwrap();
    let browser = Visit::of(&sidecar).await;
    let first = browser.page(&format!("{LAKE}/history?ref=main")).await;
    assert_eq!(first.text.matches("<svg").count(), 50);
    assert!(first.text.contains(">merge</span>"), "{}", first.text);
    let mut pages = vec![first];
    while let Some(next) = pages.last().unwrap().link("Next page") {
        pages.push(browser.page(&next).await);
    }
    assert_eq!(pages.len(), 2);
    let all: String = pages.iter().map(|page| page.text.as_str()).collect();
    for n in 0..30 {
        for message in [format!(">on main {n}<"), format!(">on side {n}<"), format!(">beside {n}<")]
        {
            assert_eq!(all.matches(&message).count(), 1, "{message}");
        }
    }
    let own = browser.page(&format!("{LAKE}/history?ref=main&first_parent=true")).await;
    assert!(!own.text.contains("on side"), "{}", own.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_says_what_it_changed_folder_by_folder() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    put(&main, "old", "before").await;
    let mut change =
        main.change().message("load\n\nof orders").meta("job", "nightly").delete("old");
    for n in 0..7 {
        let entry = onward::Entry::new(format!("mem://{n}"), n, format!("c{n}"));
        change = change.put(format!("orders/day={}/{n}", n % 2), entry);
    }
    let commit = change.commit().await.unwrap().commit().unwrap();
    let browser = Visit::of(&sidecar).await;
    let page = browser.page(&format!("{LAKE}/commit?ref={commit}")).await;
    for part in
        [">load<", "of orders", ">nightly<", "8 paths differ", ">7 added<", ">removed<", ">old<"]
    {
        assert!(page.text.contains(part), "{part} in {}", page.text);
    }
    let folder = page.link("<bdi class=\"name\">orders/</bdi>").unwrap();
    let below = browser.page(&folder).await;
    assert!(below.text.contains(">4 added<") && below.text.contains(">3 added<"), "{}", below.text);
    let day = browser.page(&below.link("<bdi class=\"name\">day=0/</bdi>").unwrap()).await;
    assert_eq!(day.text.matches(">added</span>").count(), 4, "{}", day.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_staged_is_told_from_what_is_committed_already() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    upload(&main, "same", b"same").await;
    main.commit_staged().commit().await.unwrap().commit().unwrap();
    upload(&main, "same", b"same").await;
    upload(&main, "new", b"new").await;
    let page = Visit::of(&sidecar).await.page(&format!("{LAKE}/uncommitted?branch=main")).await;
    assert!(page.text.contains(">as committed</span>"), "{}", page.text);
    assert!(page.text.contains(">added</span>"), "{}", page.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn objects_are_previewed_and_never_run() {
    let sidecar = Sidecar::start().await;
    let main = branch(&sidecar, "main");
    let png = b"\x89PNG\r\n\x1a\n........";
    for (path, bytes) in [
        ("page.html", b"<script>window.bad=1</script>".as_slice()),
        ("picture.svg", b"<svg onload=\"window.bad=1\"/>"),
        ("real", png),
        ("table.csv", b"id,name\n1,\"<i>\"\n"),
        ("doc.json", b"{\"b\":1,\"a\":[2]}"),
        ("bytes", b"\0\x01\xff"),
    ] {
        upload(&main, path, bytes).await;
    }
    let browser = Visit::of(&sidecar).await;
    for (path, part) in [
        ("page.html", "&lt;script&gt;window.bad=1&lt;/script&gt;"),
        ("picture.svg", "&lt;svg onload="),
        ("real", "<img src=\"/ui/repos/lake/bytes?ref=main&amp;path=real\""),
        ("table.csv", "<td>&lt;i&gt;</td>"),
        ("doc.json", "\n  &quot;a&quot;: [\n    2\n  ]\n}"),
        ("bytes", "neither text nor a picture"),
    ] {
        let page = browser.page(&format!("{LAKE}/object?ref=main&path={path}")).await;
        assert!(page.text.contains(part), "{path}: {}", page.text);
        let bytes = format!("{LAKE}/bytes?ref=main&path={path}");
        let sent = browser.page(&bytes).await;
        let header = |name: &str| sent.headers[name].to_str().unwrap().to_owned();
        let (kind, how) = match path {
            "real" => ("image/png", "inline"),
            _ => ("application/octet-stream", "attachment"),
        };
        assert_eq!(header("content-type"), kind, "{path}");
        assert!(header("content-disposition").starts_with(how), "{path}");
        assert!(header("content-security-policy").contains("sandbox"), "{path}");
        assert_eq!(header("x-content-type-options"), "nosniff");
    }
    assert_eq!(browser.bytes(&format!("{LAKE}/bytes?ref=main&path=real")).await, png);
    let kept = browser.page(&format!("{LAKE}/bytes?ref=main&path=real&download=true")).await;
    assert!(kept.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_lies_elsewhere_is_told_of_without_its_bytes() {
    let sidecar = Sidecar::start().await;
    put(&branch(&sidecar, "main"), "linked", "linked").await;
    let page = Visit::of(&sidecar).await.page(&format!("{LAKE}/object?ref=main&path=linked")).await;
    assert!(page.text.contains("this sidecar does not look there"), "{}", page.text);
    assert!(page.text.contains("mem://linked/linked"), "{}", page.text);
}
