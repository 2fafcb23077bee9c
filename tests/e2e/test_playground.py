"""The page over HTTP: off unless asked for, and strict; and which other pages may read results."""

from aiohttp import ClientSession

from tests.deployment import Deployment

MINE, OTHER = "http://127.0.0.1:1", "https://other.example.com"


async def test_it_is_off_unless_asked_for(deployment: Deployment, http: ClientSession) -> None:
    gateway = deployment.gateway()

    for path in ("/", "/playground/page.js"):
        async with http.get(gateway.url.with_path(path)) as answer:
            assert answer.status == 404
            assert (await answer.json())["error"]["code"] == "not_found"


async def test_it_uses_nothing_but_its_own_files_and_the_services(
    deployment: Deployment, http: ClientSession
) -> None:
    gateway, reader = deployment.with_page(API_KEYS="alice:a-key-of-alice-0123")

    for path, content_type in {
        "/": "text/html",
        "/playground/style.css": "text/css",
        "/playground/page.js": "text/javascript",
    }.items():
        async with http.get(gateway.url.with_path(path)) as answer:
            text = await answer.text()
            assert (answer.status, answer.content_type) == (200, content_type)
            policy = dict(part.split(" ", 1) for part in answer.headers["Content-Security-Policy"].split("; "))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["style-src"] == "'self'"
        assert policy["connect-src"] == f"'self' {str(reader.url).rstrip('/')}"
        assert policy["frame-ancestors"] == "'none'"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        if path == "/":
            assert f'name="results-url" content="{str(reader.url).rstrip("/")}"' in text
            assert 'name="keys-wanted" content="yes"' in text
    async with http.get(gateway.url.with_path("/playground/../settings.py", encoded=True)) as answer:
        assert answer.status == 404


async def test_which_pages_may_read(deployment: Deployment, http: ClientSession) -> None:
    readers = {origins: deployment.reader(CORS_ORIGINS=origins) for origins in ("", f"{OTHER},{MINE}")}

    for origins, reader in readers.items():
        url = reader.url.with_path("/v1/results/none")
        for origin in (MINE, "http://elsewhere", "null"):
            is_allowed = origin in origins.split(",")
            asked = {"Origin": origin, "Access-Control-Request-Method": "GET"}
            async with http.options(url / "stream", headers=asked) as answer:
                assert answer.status == (204 if origins else 405)
                assert answer.headers.get("Access-Control-Allow-Origin") == (origin if is_allowed else None)
                assert ("Authorization" in answer.headers.get("Access-Control-Allow-Headers", "")) is is_allowed
            async with http.get(url, headers={"Origin": origin}) as answer:
                assert answer.status == 404
                assert answer.headers.get("Access-Control-Allow-Origin") == (origin if is_allowed else None)
                assert answer.headers.get("Vary") == ("Origin" if origins else None)
                assert "Access-Control-Allow-Credentials" not in answer.headers
