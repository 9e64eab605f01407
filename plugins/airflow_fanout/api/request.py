"""A declarative request, as an author writes it: what is sent, and which part of the answer is the result."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from msgspec import structs, to_builtins

from airflow_fanout.api.answers import Condition, Form, check_condition, checked_form
from airflow_fanout.api.page import PAGE_STATUSES, FieldOrHeader, check_field_or_header, place_of
from airflow_fanout.api.paging import Cursor, NextLink, Pages, checked_pages
from airflow_fanout.api.poll import Poll, poll_of
from airflow_fanout.api.result import Path, check_path
from airflow_fanout.codec import Json
from airflow_fanout.errors import BadSetting
from airflow_fanout.model.declared import Declared
from airflow_fanout.model.functions import describe
from airflow_fanout.model.settings import check_flag, check_statuses, check_whole

METHODS = ("GET", "PUT", "DELETE", "POST", "PATCH")
# RFC 9110, section 9.2.2: sending one of these twice has the effect of sending it once.
IDEMPOTENT = frozenset({"GET", "PUT", "DELETE"})
# RFC 9110, 5.6.2: what the name of a header may be.
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Request(Declared, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One HTTP request per parameter; `{name}` is a field of the parameter, `{{ … }}` an Airflow template.

    :param endpoint: the path below the connection's address, such as `/calls/{tel}`; fields are percent-encoded.
    :param method: the HTTP method.
    :param query: the query string's values; a list gives the name several times, `None` leaves it out.
    :param headers: headers of this request, besides the connection's; one whose field is null is left out.
    :param json: a JSON body; a string that is exactly one field keeps the field's type.
    :param form: a form as the body (application/x-www-form-urlencoded), written as `query` is; instead of `json`.
    :param result: which part of the answer is the result, as a dotted path (`data.calls`), or a tuple where a name has
        a dot; all of it if not given.
    :param pages: how the next page of a parameter's answer is found. The items of all pages, in order, are the result;
        `result` is where a page has them. Each page is a request of its own.
    :param total: where a page has the number of all items, a dotted path or a `Header`; as many must have come.
    :param max_pages: how many pages a parameter may have.
    :param max_empty_pages: how many pages in a row may bring no item, or only the items of pages before them.
    :param poll: how to wait for the job that the request creates; `result` is a part of the job's result.
    :param batch: how many parameters one request is for, or a `Batch(…)` that says more. `{"ids": ["{id}"]}` is a list
        of all ids; elsewhere in endpoint, query and form, `{id}` stands for all of them, with commas between.
    :param empty_is_null: whether an empty list, object or text counts as no result.
    :param parse: what a body is: `"json"`, `"jsonl"`, `"csv"` or `Csv(…)`, `"xml"` or `Xml(…)`, or a function of its
        bytes that returns its value; a file of gzip is decompressed first.
    :param failed_if: which answers with a status of 2xx say that the request has failed: a path to a field that isn't
        null, false, 0 or empty, the values of fields (`{"status": "error"}`), or a function of the decoded body.
    :param retry_if: which of these answers say that it is worth another attempt; written as `failed_if` is.
    :param null_statuses: HTTP statuses that say "there is nothing", such as 404; they give the outcome `null`.
    :param repeatable: whether sending it twice does no harm; by the method if not given (RFC 9110, 9.2.2).
    :param idempotency_header: the header in which a POST or PATCH carries a key of its own, such as `Idempotency-Key`:
        the same key in each attempt at a parameter, also in later tries of the task. It makes the request repeatable.
    :param conditional: whether to ask for an answer only if it has changed since the report's last good run, by `ETag`
        and `Last-Modified`; if it hasn't, the old result counts.
    :param own_connection: whether each request has a fresh connection, closed after its answer; for a server that sends
        answers which nobody has asked for.
    """

    endpoint: str
    method: str = "GET"
    query: Mapping[str, Json] = {}
    headers: Mapping[str, str] = {}
    json: Json = None
    form: Mapping[str, Json] | None = None
    result: Path | None = None
    pages: Pages | None = None
    total: FieldOrHeader | None = None
    max_pages: int = 1_000
    max_empty_pages: int = 20
    poll: Poll | None = None
    batch: Json = None
    empty_is_null: bool = False
    parse: Form = "json"
    failed_if: Condition | None = None
    retry_if: Condition | None = None
    null_statuses: Sequence[int] = ()
    repeatable: bool | None = None
    idempotency_header: str | None = None
    conditional: bool = False
    own_connection: bool = False

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise BadSetting("method", self.method, f"one of {', '.join(METHODS)}")
        if "://" in self.endpoint.split("?", 1)[0]:
            raise BadSetting("endpoint", self.endpoint, "a path below the connection's address, such as /calls/{tel}")
        if self.form is not None and (self.json is not None or self.method == "GET"):
            raise BadSetting("form", dict(self.form), "a form only with POST, PUT, PATCH or DELETE, and without `json`")
        check_statuses("null_statuses", self.null_statuses)
        check_flag("empty_is_null", self.empty_is_null)
        check_flag("repeatable", self.repeatable is None or self.repeatable)
        check_flag("own_connection", self.own_connection)
        # In a rendered request it is plain JSON.
        structs.force_setattr(self, "parse", checked_form(self.parse))
        check_condition("failed_if", self.failed_if)
        check_condition("retry_if", self.retry_if)
        if self.result:
            check_path("result", self.result)
        for name, value in self.headers.items():
            if not isinstance(value, str) or any(sign in name + value for sign in "\r\n\0"):
                raise BadSetting(f"headers[{name!r}]", value, "a text without line breaks")
        self._check_pages()
        self._check_poll()
        self._check_batch()
        if self.idempotency_header is not None:
            self._check_idempotency()
        self._check_conditional()

    def __repr__(self) -> str:
        """Return the request as it is written, with a function's name and place.

        Airflow stores this text of a mapped fetch: an address in memory would make a new version of the DAG each time.
        """
        written = [f"{name}={value!r}" for name, value in structs.asdict(self.without_functions()).items()]
        functions = [f"{name}=<function {describe(function)}>" for name, function in self.functions().items()]
        return f"Request({', '.join((*written, *functions))})"

    def template(self) -> dict[str, Any]:
        """Return a copy of the fields, in which Airflow renders the templates.

        `Request(**fields, **request.functions())` is its inverse. XComs of other tasks stay in it as they are: Airflow
        resolves them.
        """
        functions = self.functions()
        fields = {name: value for name, value in structs.asdict(self).items() if name not in functions}
        # JSON, in which Airflow stores them, has no tuples.
        paths = {name: list(path) for name, path in fields.items() if isinstance(path, tuple)}
        structured = [name for name in ("pages", "total", "poll", "parse", "batch") if name in fields]
        plain: dict[str, Any] = {name: to_builtins(fields[name], enc_hook=list) for name in structured}
        return {**deepcopy(fields), **paths, **plain, "null_statuses": list(self.null_statuses)}

    def functions(self) -> dict[str, Callable[..., Any]]:
        """Return the fields that are functions of the author's, by their names: these travel pickled."""
        fields = structs.asdict(self)
        return {name: value for name, value in fields.items() if callable(value)}

    def without_functions(self) -> Request:
        """Return the request as it is without its functions, which JSON and templates can't hold."""
        defaults = {field.name: field.default for field in structs.fields(self)}
        return structs.replace(self, **{name: defaults[name] for name in self.functions()})

    def _check_pages(self) -> None:
        for name in ("max_pages", "max_empty_pages"):
            check_whole(name, getattr(self, name))
        if self.pages is None:
            if self.total is not None:
                raise BadSetting("total", self.total, "nothing without `pages`")
            return
        # In a rendered request they are plain JSON.
        structs.force_setattr(self, "pages", checked_pages("pages", self.pages))
        structs.force_setattr(self, "total", place_of(self.total))
        if self.total is not None:
            check_field_or_header("total", self.total)
        if PAGE_STATUSES & {*self.null_statuses}:
            raise BadSetting("null_statuses", self.null_statuses, "no status that a page has (200, 203, 206)")
        if isinstance(self.pages, Cursor) and self.pages.in_body is not None:
            # A DAG file whose requests have none doesn't load this.
            from airflow_fanout.api.body_cursor import check_body_cursor

            check_body_cursor(self.pages.in_body, self.json, self.idempotency_header)
            return
        own = None if isinstance(self.pages, NextLink) else self.pages.name
        written = {*self.query, *dict(parse_qsl(urlsplit(self.endpoint).query, keep_blank_values=True))}
        if own in written:
            raise BadSetting("query", sorted(written), f"no {own!r}, because `pages` adds it to each page's query")

    def _check_poll(self) -> None:
        # In a rendered request it is plain JSON.
        structs.force_setattr(self, "poll", poll_of(self.poll))
        if self.poll is not None and self.pages is not None:
            raise BadSetting("pages", self.pages, "nothing besides `poll`")

    def _check_batch(self) -> None:
        if self.batch is None:
            return
        # A DAG file whose requests have none doesn't load this.
        from airflow_fanout.api.batch import check_batch_texts, checked_batch

        structs.force_setattr(self, "batch", checked_batch(self.batch))
        others = {
            "pages": "pages are those of one parameter",
            "poll": "each parameter has a job of its own",
            "idempotency_header": "a batch may have other parameters the next time, and so another key",
        }
        for name, reason in others.items():
            if getattr(self, name) is not None:
                raise BadSetting("batch", self.batch, f"none besides `{name}`: {reason}")
        check_batch_texts(self.endpoint, self.query, self.headers, self.json, self.form)

    def _check_idempotency(self) -> None:
        name = self.idempotency_header
        if not isinstance(name, str) or not _TOKEN.fullmatch(name):
            raise BadSetting("idempotency_header", name, "the name of a header, such as 'Idempotency-Key'")
        if self.method in IDEMPOTENT:
            raise BadSetting("idempotency_header", name, f"none with {self.method}, which may be repeated anyway")
        if self.repeatable is False:
            raise BadSetting("repeatable", self.repeatable, "nothing besides `idempotency_header`, or True")
        if name.lower() in map(str.lower, self.headers):
            raise BadSetting("headers", sorted(self.headers), f"no {name!r}, because each request gets its own key")

    def _check_conditional(self) -> None:
        check_flag("conditional", self.conditional)
        if not self.conditional:
            return
        if self.method != "GET" or self.has_body:
            raise BadSetting("conditional", self.conditional, f"False with {self.method}: only a GET has versions")
        several = [name for name in ("pages", "poll", "batch") if getattr(self, name) is not None]
        if several:
            raise BadSetting(several[0], getattr(self, several[0]), "nothing besides `conditional`")
        if functions := self.functions():
            problem = f"no function in `{min(functions)}`: an old result may be that of another version of it"
            raise BadSetting("conditional", self.conditional, problem)
        if own := [name for name in self.headers if name.lower() in ("if-none-match", "if-modified-since")]:
            raise BadSetting("headers", sorted(self.headers), f"no {own[0]!r}, because `conditional` sends its own")

    @property
    def has_body(self) -> bool:
        """Whether something is sent besides the headers."""
        return self.json is not None or self.form is not None

    @property
    def has_steps(self) -> bool:
        """Whether a parameter needs several requests, one after the other."""
        return self.pages is not None or self.poll is not None

    @property
    def is_repeatable(self) -> bool:
        """Whether the request may be sent again when nobody knows if it arrived."""
        if self.repeatable is None:
            return self.method in IDEMPOTENT or self.idempotency_header is not None
        return self.repeatable
