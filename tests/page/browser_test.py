"""The page of ./demo as a visitor finds it.

    browser_test.py URL SOURCE_DIR PICTURES_DIR [TEST...]
"""
import base64
import html
import http.client
import json
import os
import re
import subprocess
import sys
import tempfile
import time
import unittest
import urllib.parse
import urllib.request

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import WebDriverWait

URL, SOURCE_DIR, PICTURES_DIR = sys.argv[1:4]
PATIENCE = 120  # seconds; a busy machine may need them, an idle one needs none
LARGEST = 8 * 1024 * 1024


def get(path):
    with urllib.request.urlopen(URL + path) as response:
        return response.headers, response.read()


class Page(unittest.TestCase):
    """A browser with the page, and what is asked of it afterwards whatever a test did."""
    width, height, phone = 1280, 900, False

    @classmethod
    def setUpClass(cls):
        options = webdriver.ChromeOptions()
        options.binary_location = "/usr/bin/chromium"
        for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--mute-audio",
                         f"--window-size={cls.width},{cls.height}"):
            options.add_argument(argument)
        if cls.phone:
            metrics = {"width": cls.width, "height": cls.height, "pixelRatio": 2, "touch": True}
            options.add_experimental_option("mobileEmulation", {"deviceMetrics": metrics})
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        cls.browser = webdriver.Chrome(service=Service("/usr/bin/chromedriver"), options=options)
        cls.addClassCleanup(cls.browser.quit)

    def setUp(self):
        self.expected_failures = set()  # paths that are answered with an error on purpose
        self.browser.get(URL)
        self.wait(lambda: "answers" in self.text("#hello output"), "the greeting")

    def tearDown(self):
        for entry in self.browser.get_log("browser"):
            expected = any(f"{URL}{path} - Failed to load resource" in entry["message"] for path in self.expected_failures)
            self.assertTrue(expected, f"the console says: {entry['message']}")
        for entry in self.browser.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                url = message["params"]["request"]["url"]
                self.assertTrue(url.startswith((URL, f"blob:{URL}", "data:")), f"a request to elsewhere: {url}")

    def find(self, selector):
        return self.browser.find_element(By.CSS_SELECTOR, selector)

    def all(self, selector):
        return self.browser.find_elements(By.CSS_SELECTOR, selector)

    def text(self, selector):
        return self.find(selector).text

    def wait(self, condition, what):
        return WebDriverWait(self.browser, PATIENCE).until(lambda _: condition(), f"{what} did not come")

    def wait_for_text(self, selector, wanted):
        self.wait(lambda: re.search(wanted, self.text(selector)), f"{wanted!r} in {selector}")
        return self.text(selector)

    def run_script(self, script, *arguments):
        return self.browser.execute_script(script, *arguments)

    def press(self, selector):
        button = self.find(selector)
        self.run_script("arguments[0].scrollIntoView({block: 'center'})", button)
        button.click()

    def write(self, selector, text):
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def ask_hundred_times(self):
        self.press("#hello button")
        self.wait(lambda: self.find("#hello button").get_attribute("aria-disabled") is None, "the last answer")
        return self.text("#hello output")

    def picture(self, name):
        """Of a page that has something to show in its plots, as WebP."""
        for _ in range(4):
            self.ask_hundred_times()
            time.sleep(1)  # the panel looks once a second
        self.run_script("scrollTo(0, 0); document.activeElement.blur()")
        shot = self.browser.execute_cdp_cmd("Page.captureScreenshot", {"format": "webp", "quality": 85})
        with open(os.path.join(PICTURES_DIR, name), "wb") as file:
            file.write(base64.b64decode(shot["data"]))

    def image_of(self, kind):
        """Width, height and type of a result."""
        selector = f"#pictures figure[data-kind={kind}] img"
        self.wait(lambda: self.all(selector) and self.run_script("return arguments[0].complete", self.find(selector)), kind)
        return self.run_script("const [image] = arguments; return [image.naturalWidth, image.naturalHeight, image.title]",
                               self.find(selector))

    def file(self, name, content):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, name)
        with open(path, "wb") as file:
            file.write(content)
        return path


class Desktop(Page):
    def test_hundred_requests(self):
        self.assertRegex(self.ask_hundred_times(), r"^100 requests, 100 answers.* half of them within [0-9.]+ ms")
        self.assertEqual(len(self.all("#hello rect")), 100)

    def test_live_numbers_grow(self):
        number = "[data-plot=requests] b"
        self.wait(lambda: self.text(number) != "0", "the first numbers")
        before = int(self.text(number).replace(",", ""))
        self.ask_hundred_times()
        self.wait(lambda: int(self.text(number).replace(",", "")) >= before + 100, "the requests")
        for plot in ("machines", "pages"):
            self.assertGreater(int(self.text(f"[data-plot={plot}] b").replace(",", "")), 0)
        self.assertEqual(len(self.all("#live .plots path")), 4)
        rows = self.run_script("return [...document.querySelectorAll('#live tbody tr')].map((row) => row.cells[0].textContent)")
        self.assertLessEqual({"files", "hello"}, set(rows))

    def test_pictures(self):
        self.press("[data-convert=all]")
        self.assertEqual(self.image_of("webp"), [960, 640, "image/webp"])
        self.assertEqual(self.image_of("avif"), [960, 640, "image/avif"])
        self.assertEqual(self.image_of("thumbnail"), [160, 160, "image/webp"])
        self.assertEqual(self.image_of("watermark"), [960, 640, "image/webp"])
        self.assertRegex(self.text("figure[data-kind=webp] figcaption"), r"^WebP, [0-9.]+ kB\s+[0-9]+ % of 111 kB")
        for kind in ("webp", "avif", "thumbnail", "watermark"):  # one by one, from the cache now
            self.press(f"[data-convert={kind}]")
            self.wait(lambda: len(self.all("#pictures figure")) == 1 and self.all(f"figure[data-kind={kind}]"), kind)
            self.assertIn("from Varnish's cache", self.text("#pictures figcaption"))
        self.run_script("document.querySelector('[value=\"drawing.png\"]').click()")
        self.press("[data-convert=webp]")
        self.wait(lambda: "% of 63" in self.text("#pictures figcaption"), "the other picture")
        self.assertEqual(self.image_of("webp"), [640, 420, "image/webp"])

    def test_upload(self):
        with open(os.path.join(SOURCE_DIR, "docs/examples/demo/page/pictures/drawing.png"), "rb") as file:
            drawing = file.read()
        upload = self.find("#pictures input[type=file]")
        upload.send_keys(self.file("mine.png", drawing))
        self.press("[data-convert=avif]")
        self.assertEqual(self.image_of("avif"), [640, 420, "image/avif"])
        upload.send_keys(self.file("text.png", b"this is no picture"))
        self.press("[data-convert=webp]")
        self.expected_failures.add("webp")
        self.wait_for_text("#pictures .status", "^Status 415: ")
        upload.send_keys(self.file("large.png", bytes(LARGEST + 1)))
        self.press("[data-convert=webp]")
        self.wait_for_text("#pictures .status", "^large.png has 8.39 MB; an upload has at most 8 MiB")

    def test_trouble(self):
        for trouble in ("crash", "loop", "memory"):
            self.expected_failures.add(f"misbehave/{trouble}")
            self.press(f"[data-trouble={trouble}]")
            said = self.wait_for_text("#isolation .log", "Request 1 of this copy")
            self.assertRegex(said, r"^Its request ended after .* with status 50[03]")
            self.run_script("document.querySelector('#isolation .log').replaceChildren()")
        self.press("[data-trouble=leave]")
        said = self.wait_for_text("#isolation .log", "next visitor finds").split("\n")
        self.assertEqual(said, ["The first visitor leaves: In memory: I was here; In a file: I was here",
                                "The next visitor finds: In memory: nothing; In a file: nothing"])

    def test_keeping(self):
        self.write("#keep input", "<i>Grüße</i>")
        self.press("[data-keep]")
        self.wait_for_text("#keep .status", "^Kept, in ")
        self.press("[data-find]")
        self.assertEqual(self.wait_for_text("#keep .output", "."), "<i>Grüße</i>")
        self.assertEqual(self.all("#keep .output *"), [])
        # The largest that can be written, and one that the page does not let through.
        self.write("#keep input", "ß" * 100)
        self.press("[data-keep]")
        self.wait_for_text("#keep .status", "^Kept, in ")
        self.run_script("document.querySelector('#keep input').value = 'x'.repeat(201)")
        self.expected_failures.add("note")
        self.press("[data-keep]")
        self.wait_for_text("#keep .status", "^Status 413")

    def test_scripts(self):
        self.press("[data-run]")
        self.assertIn("20! = 2432902008176640000", self.wait_for_text("#scripts .output", "^Python 3"))
        self.write("#script", "print('<b onclick=alert(1)>bold</b>')\nopen('/etc/passwd')")
        self.press("[data-run]")
        said = self.wait_for_text("#scripts .output", "^<b onclick")
        self.assertIn("No such file or directory", said)
        self.assertEqual(self.all("#scripts .output *"), [])
        self.write("#script", "while True: pass")
        self.press("[data-run]")
        self.expected_failures.add("python")
        self.wait_for_text("#scripts .status", r"^Status 50[0-9] after 2\.[0-9]+ s")
        self.press("[value=node]")
        self.assertEqual(self.text("#scripts .vcl:not([hidden])"), 'set bereq.backend = tinykvm.to_backend("node");')
        self.press("[data-run]")
        self.assertIn("2 ** 100 = 1267650600228229401496703205376n", self.wait_for_text("#scripts .output", "^Node v"))
        for script in ("nothing.here", "setTimeout(() => nothing.here, 5)", "(async () => nothing.here)()"):
            self.write("#script", script)
            self.press("[data-run]")
            self.wait_for_text("#scripts .output", "ReferenceError: nothing is not defined")
            self.run_script("document.querySelector('#scripts .output').textContent = ''")
        self.press("[value=python]")
        self.assertEqual(self.find("#script").get_attribute("value"), "while True: pass")

    def test_minify(self):
        self.press("#minify [data-send]")
        said = self.wait_for_text("#minify .output", "^function largest")
        self.assertNotIn("\n", said)
        self.assertEqual(subprocess.run(["node", "-e", said], capture_output=True, text=True, check=True).stdout,
                         "{ position: 5, number: 9 }\n")
        self.assertRegex(self.text("#minify .status"), "^[0-9]+ bytes became 1[0-9]{2} bytes in ")
        self.press("#minify [value=json]")
        self.press("#minify [data-send]")
        self.wait_for_text("#minify .output", "tinykvm")
        self.assertEqual(self.text("#minify .output"), '{"name":"tinykvm","programs":["minify","image","xml"],"fast":true,'
                                                       '"numbers":[18446744073709551615,1.50,-0]}')
        self.assertEqual(self.text("#minify .vcl:not([hidden])"), 'set bereq.backend = tinykvm.to_backend("minify");')
        self.press("[value=css]")
        self.press("#minify [data-send]")
        self.wait_for_text("#minify .output", r"^\.button\{color:red;")
        self.press("[value=html]")
        self.press("#minify [data-send]")
        self.wait_for_text("#minify .output", "^<!doctype html><title>A page</title>")
        self.press("[value=js]")
        self.write("#minify textarea", "let broken = (;")
        self.press("#minify [data-send]")
        self.wait_for_text("#minify .status", "came back as it was")
        self.assertEqual(self.text("#minify .output"), "let broken = (;")

    def test_validate(self):
        self.expected_failures.update(("xml", "json"))
        self.press("#validate [data-send]")
        self.wait_for_text("#validate .status", "^Not well-formed: line 6, said with status 422")
        self.assertIn("Line 6: ", self.text("#validate .output"))
        self.write("#validate textarea", "<a><b/></a>")
        self.press("#validate [data-send]")
        self.wait_for_text("#validate .status", "^Well-formed, in ")
        self.press("#validate [value=json]")
        self.press("#validate [data-send]")
        self.wait_for_text("#validate .status", "^Not well-formed: line 4, said with status 422")
        self.write("#validate textarea", "[1, 2]")
        self.press("#validate [data-send]")
        self.wait_for_text("#validate .status", "^Well-formed, in ")

    def test_compress(self):
        upload = self.find("#compress input[type=file]")
        upload.send_keys(self.file("zeros", bytes(500_000)))
        for row, name in enumerate(("gzip", "brotli", "zstd"), 1):
            self.press(f"[data-compress={name}]")
            self.wait(lambda: len(self.all("#compress tbody tr")) == row, name)
            said = self.text(f"#compress tbody tr:nth-child({row})")
            self.assertRegex(said, f"^{name} 500 kB [0-9.]+ (bytes|kB) 100 % ")

    def test_speech(self):
        self.press("#speech [data-send]")
        self.wait_for_text("#speech .status", "of sound in")
        self.wait(lambda: (self.run_script("return document.querySelector('audio').duration") or 0) > 1, "sound")
        size = self.text("#speech .status").split(" of ")[0]
        self.find("#speech option[value=de]").click()
        self.press("#speech [data-send]")
        self.wait(lambda: re.search("of sound in", self.text("#speech .status")) and size not in self.text("#speech .status"),
                  "another voice")

    def test_reading(self):
        self.press("#read [data-send]")
        said = self.wait_for_text("#read .output", "Notice to all visitors")
        self.assertIn("virtual machine of its own", said)
        self.assertIn("open from 9 to 17", said)

    def test_answer(self):
        missing = json.loads(get("missing.json")[1])
        if "answer" in missing:
            self.assertEqual(self.text("#answer .missing"), missing["answer"])
            return
        self.press("#answer button")
        self.wait_for_text("#answer .output", "^Nothing that a visitor leaves")
        self.assertRegex(self.text("#answer .status"), r"fits 0\.[0-9]{2} of 1")

    def test_vcl_on_the_page_is_the_vcl_that_runs(self):
        with open(os.path.join(SOURCE_DIR, "docs/examples/demo.vcl"), encoding="utf-8") as file:
            vcl = file.read()
        shown = re.findall(r'<code class="vcl"[^>]*>(.*?)</code>', html.unescape(get("")[1].decode()), re.DOTALL)
        lines = [line for block in shown for line in block.split("\n")]
        self.assertGreater(len(lines), 10)
        for line in lines:
            self.assertIn("\t" + line + "\n", vcl)

    def test_policy(self):
        headers = get("")[0]
        self.assertIn("default-src 'self';", headers["Content-Security-Policy"])
        self.assertNotIn("unsafe", headers["Content-Security-Policy"])
        self.assertEqual(headers["X-Content-Type-Options"], "nosniff")

    def test_limits(self):
        """Of what the page does not send, as it has limits of its own."""
        def status(method, headers, body=None):
            connection = http.client.HTTPConnection(urllib.parse.urlsplit(URL).netloc, timeout=PATIENCE)
            self.addCleanup(connection.close)
            connection.request(method, "/webp", body, headers)
            response = connection.getresponse()
            return response.status, response.read().decode()
        self.assertEqual(status("POST", {"Content-Length": str(LARGEST + 1)}), (413, "An upload has at most 8 MiB.\n"))
        self.assertEqual(status("POST", {}, iter([b"a", b"b"])), (411, "The request does not say how long its body is.\n"))
        self.assertEqual(status("PUT", {}, b"a"), (405, "There are GET, HEAD and POST.\n"))

    def test_picture_for_the_readme(self):
        self.browser.set_window_size(1280, 1260)
        self.press("[data-convert=all]")
        self.image_of("watermark")
        self.picture("demo.webp")


class Keyboard(Page):
    def key(self, key):
        """For whatever has the focus."""
        webdriver.ActionChains(self.browser).send_keys(key).perform()

    def test_everything_is_reached_and_works(self):
        wanted = set(self.all("button, select, textarea, summary, input:not([type=radio]), input[type=radio]:checked"))
        self.assertGreater(len(wanted), 15)
        reached = []
        body = self.find("body")
        self.key(Keys.TAB)
        for _ in range(200):
            element = self.browser.switch_to.active_element
            if element == body or element in reached:
                break
            reached.append(element)
            self.assertTrue(self.run_script("return arguments[0].matches(':focus-visible')", element))
            self.key(Keys.TAB)
        missed = [element.get_attribute("outerHTML") for element in wanted if element not in reached]
        self.assertEqual([], missed)

    def test_keys_press_buttons(self):
        self.find("[data-convert=thumbnail]").send_keys(Keys.ENTER)
        self.assertEqual(self.image_of("thumbnail"), [160, 160, "image/webp"])
        self.assertEqual(self.browser.switch_to.active_element, self.find("[data-convert=thumbnail]"))
        self.find("[value=python]").send_keys(Keys.ARROW_RIGHT)
        self.assertIn("console.log", self.find("#script").get_attribute("value"))
        self.find("[data-run]").send_keys(Keys.SPACE)
        self.wait_for_text("#scripts .output", "^Node v")
        self.find(".skip").send_keys(Keys.ENTER)
        self.assertEqual(self.browser.switch_to.active_element, self.find("main"))

    def test_everything_has_a_name(self):
        nameless = self.run_script("""return [...document.querySelectorAll('button, input, select, textarea, summary, audio, img, svg')]
            .filter((e) => !(e.textContent.trim() || e.labels?.[0]?.textContent.trim() || e.hasAttribute('alt') ||
                             e.labels?.[0]?.querySelector('img[alt]') || e.getAttribute('aria-label')))
            .map((e) => e.outerHTML)""")
        self.assertEqual([], nameless)


class Phone(Page):
    width, height, phone = 390, 844, True

    def fits(self):
        self.assertLessEqual(self.run_script("return document.documentElement.scrollWidth"), self.width)

    def test_fits_and_works(self):
        self.fits()
        low = [button.text for button in self.all("button") if button.size["height"] < 44]
        self.assertEqual([], low, "too low for a finger")
        self.press("[data-convert=webp]")
        self.assertEqual(self.image_of("webp"), [960, 640, "image/webp"])
        self.press("[data-trouble=leave]")
        self.wait_for_text("#isolation .log", "next visitor finds: In memory: nothing")
        self.press("#live summary")
        self.assertTrue(self.find("#live table").is_displayed())
        self.fits()

    def test_picture_for_the_readme(self):
        self.picture("demo-phone.webp")


class Without(Page):
    """What the machine lacks is said in a sentence where it would be."""
    def test_sentences(self):
        missing = json.loads(get("missing.json")[1])
        self.assertEqual(set(missing), {"avif", "node", "read", "answer"})
        for card in ("read", "answer"):
            self.assertEqual(self.text(f"#{card} .missing"), missing[card])
            self.assertEqual(self.all(f"#{card} button"), [])
        self.assertEqual(self.all("[data-convert=avif]"), [])
        self.assertEqual(self.text("#pictures .missing"), missing["avif"])
        self.assertEqual(self.all("[value=node]"), [])
        self.press("[data-convert=all]")
        self.image_of("watermark")
        self.assertEqual(len(self.all("#pictures figure")), 3)
        self.press("[data-run]")
        self.wait_for_text("#scripts .output", "^Python 3")


if __name__ == "__main__":
    program = unittest.main(argv=[sys.argv[0], *sys.argv[4:]], exit=False, verbosity=1)
    result = program.result
    failed = len({str(test) for test, _ in result.failures + result.errors})
    sys.stderr.flush()
    print(f"{result.testsRun - failed - len(result.skipped)} passed, {failed} failed, {len(result.skipped)} skipped")
    sys.exit(failed > 0)
