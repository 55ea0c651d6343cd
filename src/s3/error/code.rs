//! The closed table of error codes: wire name, status and AWS's words in one row each.
//!
//! AWS: "List of error codes".

/// Defines [`Code`] and its table in one place, so that name, status and words cannot drift apart.
macro_rules! codes {
    ($($name:ident = $status:literal, $message:literal;)*) => {
        /// An S3 error code.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub(in crate::s3) enum Code {
            $(
                #[doc = $message]
                $name,
            )*
        }

        impl Code {
            /// Every code.
            #[cfg(test)]
            const ALL: &[Self] = &[$(Self::$name,)*];

            /// The name on the wire.
            pub(in crate::s3) fn name(self) -> &'static str {
                match self { $(Self::$name => stringify!($name),)* }
            }

            /// The HTTP status.
            pub(in crate::s3) fn status(self) -> http::StatusCode {
                let status = match self { $(Self::$name => $status,)* };
                http::StatusCode::from_u16(status).expect("the table holds valid statuses, which a test checks")
            }

            /// AWS's words, for where nothing more precise is known.
            pub(in crate::s3) fn message(self) -> &'static str {
                match self { $(Self::$name => $message,)* }
            }
        }
    };
}

codes! {
    AccessDenied = 403, "Access Denied";
    AuthorizationHeaderMalformed = 400, "The authorization header that you provided is not valid.";
    AuthorizationQueryParametersError = 400, "The authorization query parameters that you provided are not valid.";
    BadDigest = 400, "The Content-MD5 you specified did not match what we received.";
    BadGateway = 502, "Production could not be asked.";
    BadRequest = 400, "Bad Request";
    BucketAlreadyExists = 409, "The requested bucket name is not available. The bucket namespace is shared by all users of the system. Please select a different name and try again.";
    BucketAlreadyOwnedByYou = 409, "Your previous request to create the named bucket succeeded and you already own it.";
    BucketNotEmpty = 409, "The bucket you tried to delete is not empty";
    EntityTooLarge = 400, "Your proposed upload exceeds the maximum allowed object size.";
    EntityTooSmall = 400, "Your proposed upload is smaller than the minimum allowed size";
    GatewayTimeout = 504, "Production did not answer in time.";
    IncompleteBody = 400, "You did not provide the number of bytes specified by the Content-Length HTTP header";
    InternalError = 500, "We encountered an internal error. Please try again.";
    InsufficientStorage = 507, "There is not enough free space to store this. Free some space on the data folder's volume, or delete objects, and try again.";
    InvalidAccessKeyId = 403, "The AWS Access Key Id you provided does not exist in our records.";
    InvalidArgument = 400, "Invalid Argument";
    InvalidBucketName = 400, "The specified bucket is not valid.";
    InvalidChunkSizeError = 403, "Only the last chunk is allowed to have a size less than 8192 bytes";
    InvalidDigest = 400, "The Content-MD5 you specified was invalid.";
    InvalidLocationConstraint = 400, "The specified location-constraint is not valid";
    InvalidPart = 400, "One or more of the specified parts could not be found. The part may not have been uploaded, or the specified entity tag may not match the part's entity tag.";
    InvalidPartNumber = 416, "The requested partnumber is not satisfiable";
    InvalidPartOrder = 400, "The list of parts was not in ascending order. Parts must be ordered by part number.";
    InvalidRange = 416, "The requested range is not satisfiable";
    InvalidRequest = 400, "Invalid Request";
    InvalidTag = 400, "The tag provided was not a valid tag. This error can occur if the tag did not pass input validation.";
    InvalidToken = 400, "The provided token is malformed or otherwise invalid.";
    InvalidURI = 400, "Couldn't parse the specified URI.";
    KeyTooLongError = 400, "Your key is too long";
    LoopDetected = 508, "The request has been here before.";
    MalformedTrailerError = 400, "The request contained trailing data that was not well-formed or did not conform to our published schema.";
    MalformedXML = 400, "The XML you provided was not well-formed or did not validate against our published schema";
    MaxMessageLengthExceeded = 400, "Your request was too big.";
    MetadataTooLarge = 400, "Your metadata headers exceed the maximum allowed metadata size";
    MethodNotAllowed = 405, "The specified method is not allowed against this resource.";
    MissingContentLength = 411, "You must provide the Content-Length HTTP header.";
    NoSuchBucket = 404, "The specified bucket does not exist";
    NoSuchKey = 404, "The specified key does not exist.";
    NoSuchUpload = 404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed.";
    NoSuchVersion = 404, "The specified version does not exist.";
    NotImplemented = 501, "A header you provided implies functionality that is not implemented";
    OperationAborted = 409, "A conflicting conditional operation is currently in progress against this resource. Please try again.";
    PreconditionFailed = 412, "At least one of the pre-conditions you specified did not hold";
    RequestTimeout = 400, "Your socket connection to the server was not read from or written to within the timeout period.";
    RequestTimeTooSkewed = 403, "The difference between the request time and the current time is too large.";
    ServiceUnavailable = 503, "Service is unable to handle request.";
    SignatureDoesNotMatch = 403, "The request signature we calculated does not match the signature you provided. Check your key and signing method.";
    SlowDown = 503, "Please reduce your request rate.";
    XAmzContentSHA256Mismatch = 400, "The provided 'x-amz-content-sha256' header does not match what was computed.";
}

#[cfg(test)]
mod tests {
    use super::Code;

    #[test]
    fn every_status_of_the_table_is_an_error() {
        for code in Code::ALL {
            let status = code.status();
            assert!(status.is_client_error() || status.is_server_error(), "{}", code.name());
        }
    }
}
