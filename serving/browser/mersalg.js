// Mersalg in a shop's page: offers, and what becomes of them.
{
  let sheet;
  // A sheet that a script makes is let in by a content security policy without inline style.
  const dress = (box) => {
    if (!sheet) {
      sheet = new CSSStyleSheet();
      sheet.replaceSync("STYLE");
    }
    const root = box.getRootNode();
    const { adoptedStyleSheets: sheets } = root.adoptedStyleSheets ? root : document;
    if (!sheets.includes(sheet)) sheets.push(sheet);
    // Buttons have the colours of the page, the other way round.
    const paint = () => {
      const { color } = getComputedStyle(box);
      let at = box;
      let paper;
      do paper = getComputedStyle(at).backgroundColor;
      while (/^rgba.*, 0\)$/.test(paper) && (at = at.parentElement));
      box.style.setProperty("--mersalg-text", color);
      box.style.setProperty("--mersalg-page", at ? paper : "Canvas");
    };
    paint();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  };
  const run = async ({
    url, key, element, cart, onAdd, onRemove, onSelect,
    placement = "checkout", labels = {}, style = true, timeout = 2000,
  }) => {
    const asked = { placement, locale: document.documentElement.lang || undefined, ...cart };
    const { checkout_id, session_id, customer_id, consent, checkout_token } = cart;
    const post = (path, body, more) => fetch(url + path, {
      method: "POST", body: JSON.stringify(body), ...more,
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + key },
    });
    // Ids sent again count once.
    const send = (events, tries) => post("/v1/events", { events }, { keepalive: true })
      .then((answer) => {
        if (answer.status == 429 || answer.status > 499) throw 0;
      })
      .catch(() => tries && setTimeout(send, 6000 / tries, events, tries - 1));
    let due = [];
    const flush = () => {
      if (due.length) send(due, 4);
      due = [];
    };
    addEventListener("pagehide", flush);
    const tell = (type, { offer_id }) => {
      if (!due.length) setTimeout(flush, 200);
      due.push({
        type, offer_id, checkout_id, session_id, customer_id, consent, checkout_token,
        event_id: crypto.getRandomValues(new Uint32Array(4)).join("-"),
        occurred_at: new Date().toISOString(),
      });
    };
    // Seen: half visible for a second, in a page that is looked at.
    const timers = new Map();
    const drop = (item) => {
      clearTimeout(timers.get(item));
      timers.delete(item);
      seen.unobserve(item);
    };
    const seen = new IntersectionObserver((entries) => entries.forEach((entry) => {
      const item = entry.target;
      clearTimeout(timers.get(item));
      timers.set(item, entry.intersectionRatio < 0.5 || document.hidden ? 0 : setTimeout(() => {
        drop(item);
        tell("view_promotion", item.offer);
      }, 1000));
    }), { threshold: 0.5 });
    document.addEventListener("visibilitychange", () => timers.forEach((timer, item) => {
      clearTimeout(timer);
      seen.unobserve(item);
      seen.observe(item);
    }));
    // Text is set as text, so that no name can be markup.
    const add = (into, tag, name, text = "") => {
      const made = document.createElement(tag);
      made.className = "mersalg-" + name;
      made.textContent = text;
      return into.appendChild(made);
    };
    // Pictures are of https or of the page's own address: other schemes run, or are read on the way.
    const link = document.createElement("a");
    const pictureOf = ({ image_url }) => {
      link.href = image_url || "about:blank";
      const is_own = link.protocol == location.protocol && link.host == location.host;
      return link.protocol == "https:" || is_own ? link.href : "";
    };
    const box = document.createElement("section");
    box.className = `mersalg mersalg-${asked.placement}`;
    const render = (offer) => {
      const { kind, name, text, display } = offer;
      const item = add(list, "li", kind);
      item.offer = offer;
      if (pictures) {
        const address = pictureOf(offer);
        const picture = add(item, address ? "img" : "span", "image");
        picture.alt = "";
        picture.onerror = () => picture.removeAttribute("src");
        if (address) picture.src = address;
      }
      const body = add(item, "div", "body");
      const head = add(body, "div", "head");
      const title = add(head, onSelect ? "button" : "strong", "name", name);
      title.type = "button";
      title.onclick = onSelect && (() => {
        tell("select_promotion", offer);
        onSelect(offer);
      });
      const price = display.difference || display.price;
      if (price) add(head, "span", "price", price);
      // The gains are what the text says too.
      if (!display.gains.length) add(body, "p", "text", text);
      if (display.gains.length + display.losses.length) {
        const changes = add(body, "ul", "changes");
        changes.role = "list";
        for (const change of ["gains", "losses"])
          display[change].forEach((label) => add(changes, "li", change, label));
      }
      const actions = add(body, "div", "actions");
      const button = (action) => {
        const made = add(actions, "button", action);
        // The default would send the checkout's form.
        made.type = "button";
        return made;
      };
      const take = button("add");
      const other = button("dismiss");
      const say = (made, label) => {
        made.textContent = label;
        made.setAttribute("aria-label", label + ": " + name);
      };
      const show = (added) => {
        item.classList.toggle("mersalg-added", added);
        take.setAttribute("aria-disabled", added);
        say(take, added ? words.added : kind == "upsell" ? words.replace : words.add);
        say(other, added ? words.undo : words.dismiss);
        other.style.visibility = added && !onRemove ? "hidden" : "";
      };
      show(false);
      take.onclick = () => {
        if (item.matches(".mersalg-added")) return;
        show(true);
        status.textContent = words.added + ": " + name;
        tell("add_to_cart", offer);
        onAdd?.(offer);
      };
      other.onclick = () => {
        if (item.matches(".mersalg-added")) {
          show(false);
          status.textContent = words.undo + ": " + name;
          take.focus();
          onRemove(offer);
          return;
        }
        tell("dismiss_promotion", offer);
        drop(item);
        const next = item.nextSibling || item.previousSibling;
        item.remove();
        next ? next.querySelector("button").focus() : box.remove();
      };
      seen.observe(item);
    };
    const found = await post("/v1/suggestions", asked, { signal: AbortSignal.timeout(timeout) });
    const answer = await found.json();
    const { offers = [] } = answer;
    if (!offers.length) return offers;
    const words = { ...answer.labels, ...labels };
    const pictures = offers.some(pictureOf);
    box.lang = answer.language;
    box.setAttribute("aria-label", words.title);
    add(box, "p", "title", words.title);
    const list = add(box, "ul", "list");
    list.role = "list";
    const status = add(box, "p", "status");
    status.role = "status";
    offers.forEach(render);
    element.replaceChildren(box);
    if (style) dress(box);
    return offers;
  };
  // Whatever fails, the page goes on.
  window.Mersalg = { show: (asked) => run(asked).catch(() => []) };
}
