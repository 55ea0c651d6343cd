//! Many at once.

use std::collections::HashSet;

use super::*;
use crate::model::ConditionFailed;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_many_puts_that_want_to_be_first_exactly_one_wins() {
    let fixture = std::sync::Arc::new(Fixture::new().await);
    for round in 0..10 {
        let tasks: Vec<_> = (0..16)
            .map(|index: u8| {
                let fixture = std::sync::Arc::clone(&fixture);
                let name = format!("key-{round}");
                tokio::spawn(async move {
                    (index, fixture.put_if(&name, &[index; 40], if_none_match_any()).await)
                })
            })
            .collect();
        let mut winners = Vec::new();
        for task in tasks {
            match task.await.expect("no panic") {
                (index, Ok(_)) => winners.push(index),
                (_, Err(Error::Condition(ConditionFailed::Precondition("If-None-Match")))) => {}
                (index, Err(error)) => panic!("{index}: {error}"),
            }
        }
        assert_eq!(winners.len(), 1);
        assert_eq!(fixture.get(&format!("key-{round}")).await.expect("an object"), [winners[0]; 40]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_reader_sees_one_whole_object_while_others_overwrite_it() {
    let fixture = std::sync::Arc::new(Fixture::with(|options| options.inline_max_bytes = 50_000).await);
    let sizes = [10, 49_999, 60_000, 400_000];
    fixture.put("a", &[0; 10]).await;
    let writer = {
        let fixture = std::sync::Arc::clone(&fixture);
        tokio::spawn(async move {
            for index in 0..100_u8 {
                fixture.put("a", &vec![index; sizes[usize::from(index) % 4]]).await;
            }
        })
    };
    let mut seen = 0;
    while !writer.is_finished() || seen == 0 {
        let Lookup::Here(object, content) = fixture.find("a") else { panic!("it is always there") };
        let bytes = read(&content, ByteRange::whole(object.size_bytes)).await.expect("held");
        let mut digester = crate::checksum::Digester::new(&[]);
        digester.update(&bytes);
        assert_eq!(object.md5, Some(digester.finish().md5));
        seen += 1;
    }
    writer.await.expect("no panic");
    fixture.swept_to(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn generations_are_never_given_out_twice() {
    let fixture = std::sync::Arc::new(Fixture::new().await);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let fixture = std::sync::Arc::clone(&fixture);
            tokio::spawn(async move {
                let mut generations = Vec::new();
                for index in 0..25 {
                    generations.push(fixture.put(&format!("{task}/{index}"), b"x").await.generation);
                }
                generations
            })
        })
        .collect();
    let mut all = HashSet::new();
    for task in tasks {
        let generations = task.await.expect("no panic");
        assert!(generations.is_sorted(), "they grow for each writer");
        all.extend(generations);
    }
    assert_eq!(all.len(), 200);
    assert_eq!(fixture.keys(&scan_all()).len(), 200);
}
