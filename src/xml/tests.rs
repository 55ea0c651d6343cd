//! Documents as S3 writes them, and hostile ones.

use proptest::prelude::*;

use super::{Element, Writer};

fn text(document: &[u8]) -> &str {
    std::str::from_utf8(document).expect("UTF-8")
}

#[test]
fn a_document_is_as_s3_writes_it() {
    let document = Writer::document("ListBucketResult", |writer| {
        writer.value("Name", "bucket");
        writer.value("Prefix", "");
        writer.value("MaxKeys", 1000);
        writer.optional("Marker", None::<&str>);
        writer.optional("Delimiter", Some("/"));
        writer.element("Contents", |writer| {
            writer.value("Key", "a&b<c>\"d'");
            writer.value("ETag", "\"abc-2\"");
        });
        writer.element("Owner", |_| {});
    });
    let expected = [
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n",
        "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">",
        "<Name>bucket</Name><Prefix/><MaxKeys>1000</MaxKeys><Delimiter>/</Delimiter>",
        "<Contents><Key>a&amp;b&lt;c&gt;&quot;d'</Key><ETag>&quot;abc-2&quot;</ETag></Contents>",
        "<Owner/></ListBucketResult>",
    ];
    assert_eq!(text(&document), expected.concat());
}

#[test]
fn errors_have_no_namespace_and_elements_may_have_attributes() {
    let document = Writer::bare_document("Error", |writer| {
        let attributes = &[("xmlns:xsi", "http://www.w3.org/"), ("xsi:type", "a\"<&\n")];
        writer.element_with("Grantee", attributes, |writer| writer.text("x"));
    });
    assert_eq!(
        text(&document),
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Grantee xmlns:xsi=\"http://www.w3.org/\" xsi:type=\"a&quot;&lt;&amp;&#10;\">x</Grantee></Error>"
    );
}

#[test]
fn characters_that_would_not_survive_are_references() {
    let document = Writer::bare_document("A", |writer| writer.text("\r\n\t\u{0}\u{1}\u{7f}\u{fffe}é🦊"));
    assert!(text(&document).ends_with("<A>&#13;&#10;&#9;&#0;&#1;&#127;&#65534;é🦊</A>"), "{document:?}");
}

#[test]
fn request_bodies_are_read_with_and_without_namespaces_and_prefixes() {
    for body in [
        "<Delete><Object><Key>a &amp; b&#x20;\u{e9}&#13;</Key></Object><Quiet>true</Quiet></Delete>",
        "\u{feff}<?xml version='1.0' encoding='UTF-8'?>\n<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\n  <!-- <x> --><Object>\n<Key>a &amp; b é&#xD;</Key></Object>\n<Quiet>true</Quiet></Delete>\n<!-- end -->",
        "<s3:Delete xmlns:s3='urn:x'><s3:Object s3:a='&lt;b>'><s3:Key><![CDATA[a & b ]]>é&#13;</s3:Key></s3:Object><s3:Quiet>true</s3:Quiet></s3:Delete>",
    ] {
        let delete = Element::parse(body.as_bytes(), "Delete").expect(body);
        let object = delete.get("Object").expect("one object");
        assert_eq!(object.get("Key").expect("a key").text(), "a & b é\r");
        assert_eq!(delete.find("Quiet").expect("at most one").map(Element::text), Some("true"));
        assert_eq!(delete.find("Absent"), Ok(None));
        assert_eq!((delete.name(), delete.children().len()), ("Delete", 2));
    }
}

#[test]
fn repeated_children_are_read_in_order_and_refused_where_one_is_meant() {
    let body = "<Complete><Part>1</Part><Other/><Part>2</Part></Complete>";
    let complete = Element::parse(body.as_bytes(), "Complete").expect("well-formed");
    let parts: Vec<_> = complete.children_named("Part").map(Element::text).collect();
    assert_eq!(parts, ["1", "2"]);
    assert!(complete.find("Part").is_err() && complete.get("Part").is_err());
    assert!(complete.get("Other").is_ok_and(|other| other.text().is_empty()));
    assert!(complete.get("Absent").is_err());
}

#[test]
fn what_is_not_a_small_plain_document_is_refused() {
    let deep = format!("{}{}", "<a>".repeat(17), "</a>".repeat(17));
    let many = format!("<a>{}</a>", "<b/>".repeat(100_000));
    let large = format!("<a>{}</a>", "x".repeat(8 << 20));
    for body in [
        "",
        "   ",
        "text",
        "<a>",
        "<a></b>",
        "<a></a></a>",
        "<a/><a/>",
        "<a/>text",
        "text<a/>",
        "<b/>",
        "<A/>",
        "<a",
        "<a>&unknown;</a>",
        "<a>&#xD800;</a>",
        "<a>&#x110000;</a>",
        "<a>&#+65;</a>",
        "<a>&#;</a>",
        "<a>&amp</a>",
        "<!DOCTYPE a [<!ENTITY x \"y\">]><a>&x;</a>",
        "<!DOCTYPE a><a/>",
        deep.as_str(),
        many.as_str(),
        large.as_str(),
    ] {
        let shown = &body[..body.len().min(60)];
        let error = Element::parse(body.as_bytes(), "a").expect_err(shown);
        assert!(!error.reason.is_empty());
    }
    assert!(Element::parse(b"<a>\xff</a>", "a").is_err(), "bytes that are not UTF-8 were taken");
    let nested = format!("{}{}", "<a>".repeat(16), "</a>".repeat(16));
    assert!(Element::parse(nested.as_bytes(), "a").is_ok());
}

/// Each of these is refused by a reader of XML 1.0 with namespaces, as S3's is: MalformedXML.
#[test]
fn what_is_not_well_formed_is_refused() {
    let attributes = (0..33).map(|number| format!(" x{number}=''")).collect::<Vec<_>>().concat();
    let crowded = format!("<a{attributes}/>");
    for body in [
        // Names.
        "<a><></></a>",
        "<a>< b/></a>",
        "<a><x:/></a>",
        "<a><:b/></a>",
        "<a><:/></a>",
        "<a xmlns:x='urn:x'><x:y:b/></a>",
        "<a><x:b/></a>",
        "<a><1b/></a>",
        "<a><-b/></a>",
        "<a><b\u{a0}c/></a>",
        "<a><b\"/></a>",
        "<a><b,c/></a>",
        "<a><xmlns:b/></a>",
        "<a><b xmlns:x='urn:x'/><x:c/></a>",
        // Attributes.
        "<a b='1' b='2'/>",
        "<a xmlns:x='urn:x' xmlns:y='urn:x' x:b='1' y:b='2'/>",
        "<a xmlns='urn:x' xmlns='urn:y'/>",
        "<a b='1'c='2'/>",
        "<a b/>",
        "<a b=1/>",
        "<a b='<'/>",
        "<a b='&x;'/>",
        "<a b='&amp'/>",
        "<a x:b='1'/>",
        "<a b:='1'/>",
        "<a :b='1'/>",
        "<a 1b='1'/>",
        "<a ='1'/>",
        "<a b='1\">",
        "<a xmlns:x=''/>",
        "<a xmlns:xmlns='urn:x'/>",
        "<a xmlns:xml='urn:x'/>",
        "<a / >",
        "<a></a b='1'>",
        crowded.as_str(),
        // The declaration, and what looks like one.
        " <?xml version='1.0'?><a/>",
        "<a/><?xml version='1.0'?>",
        "<a><?xml version='1.0'?></a>",
        "<?xml version='1.0'?><?xml version='1.0'?><a/>",
        "<?xml?><a/>",
        "<?xml encoding='UTF-8'?><a/>",
        "<?xml version='2.0'?><a/>",
        "<?xml version='1.0' encoding='UTF-16'?><a/>",
        "<?xml version='1.0' encoding='ISO-8859-1'?><a>é</a>",
        "<?xml version='1.0' standalone='maybe'?><a/>",
        "<?xml version='1.0' standalone='yes' encoding='UTF-8'?><a/>",
        "<?XML version='1.0'?><a/>",
        "<a><? x?></a>",
        "<a><?x:y z?></a>",
        "<a><?x</a>",
        // Text and sections.
        "<a>]]></a>",
        "<a>\u{0}</a>",
        "<a>\u{1}</a>",
        "<a>\u{b}</a>",
        "<a>\u{fffe}</a>",
        "<a b='\u{1}'/>",
        "<a>&</a>",
        "<a>& </a>",
        "<a>&x y;</a>",
        "<a>&#x;</a>",
        "<a><![cdata[x]]></a>",
        "<a><![CDATA[x]></a>",
        "<a><!-- x -- y --></a>",
        "<a><!-- x ---></a>",
        "<a><!ELEMENT b></a>",
        "<!doctype a><a/>",
        "<!DOCTYPE a SYSTEM \"file:///etc/passwd\"><a/>",
        // Outside the root.
        "&#32;<a/>",
        "<a/>&#32;",
        "<![CDATA[]]><a/>",
        "<a/><![CDATA[ ]]>",
        "\u{c}<a/>",
        "\u{feff}\u{feff}<a/>",
        "<a/>\u{feff}",
    ] {
        let error = Element::parse(body.as_bytes(), "a").expect_err(body);
        assert!(error.reason.len() < 200, "{error:?}");
    }
}

#[test]
fn what_is_well_formed_is_read_however_odd() {
    for body in [
        "\u{feff}<a/>",
        "<?xml version=\"1.0\"?><a/>",
        "<?xml version='1.1' encoding='utf-8' standalone = 'no' ?>\r\n<a/>",
        "<?xml version='1.0' encoding='ISO-8859-1'?><a/>",
        "<?xml version='1.0' encoding='us-ascii'?><a/>",
        "<?xml-stylesheet href='x'?><a/>",
        "<a><?x ??></a>",
        "<a b='1'\n\tc = \"2>'\" />",
        "<a b='&lt;&#1;&amp;'/>",
        "<a xml:space='preserve' xml:lang='en'/>",
        "<a x:type='b' xmlns:x='urn:x' type='c'/>",
        "<a xmlns:x='urn:x' xmlns:y='urn:y' x:b='1' y:b='2'/>",
        "<x:a xmlns:x='urn:x'/>",
        "<a xmlns=''/>",
        "<a ></a >",
        "<a><é-.·9/></a>",
        "<a>\u{7f}\u{85}\u{fffd}\u{10ffff}]] ></a>",
        "<a><![CDATA[]]]]><![CDATA[>]]></a>",
        "<a><!----><!-- - --></a>",
    ] {
        let read = Element::parse(body.as_bytes(), "a");
        assert!(read.is_ok(), "{body}: {read:?}");
    }
}

/// Each pair of attributes is compared, so a tag of megabytes must not have as many as fit in it.
#[test]
fn a_tag_of_a_million_attributes_is_refused_at_once() {
    let attributes = (0..600_000).map(|number| format!(" x{number}=''")).collect::<Vec<_>>().concat();
    let body = format!("<a{attributes}/>");
    assert!(body.len() < 8 << 20);
    let error = Element::parse(body.as_bytes(), "a").expect_err("too many");
    assert_eq!(error.reason, "an element has too many attributes");
}

proptest! {
    #[test]
    fn what_is_written_reads_back(texts in prop::collection::vec(any::<String>(), 0..5)) {
        let document = Writer::document("Root", |writer| {
            for text in &texts {
                writer.element("Outer", |writer| writer.value("Inner", text));
            }
        });
        let root = Element::parse(&document, "Root").expect("well-formed");
        let read: Vec<_> =
            root.children().iter().map(|outer| outer.get("Inner").expect("there").text().to_owned()).collect();
        prop_assert_eq!(read, texts);
    }

    #[test]
    fn any_bytes_are_an_answer_or_an_error(body in "(<[/!?]?[ab]?|[>&;#x]|</a>|<a>|\\PC){0,30}") {
        if let Ok(element) = Element::parse(body.as_bytes(), "a") {
            prop_assert_eq!(element.name(), "a");
        }
    }
}
