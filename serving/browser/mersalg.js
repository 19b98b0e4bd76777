// Mersalg in a shop's page: offers, and what becomes of them.
{
  const run = async ({ url, key, element, cart, onAdd, onSelect, labels = {}, timeout = 2000 }) => {
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
    const add = (into, tag, name, text) => {
      const made = document.createElement(tag);
      made.className = "mersalg-" + name;
      made.textContent = text;
      return into.appendChild(made);
    };
    const list = document.createElement("ul");
    const render = (offer) => {
      const { kind, name, text, replaces, currency } = offer;
      const price = replaces ? "+" + replaces.price_difference : offer.unit_price;
      const item = add(list, "li", kind);
      item.offer = offer;
      const title = add(item, onSelect ? "button" : "strong", "name", name);
      title.type = "button";
      title.onclick = onSelect && (() => {
        tell("select_promotion", offer);
        onSelect(offer);
      });
      add(item, "span", "text", text);
      for (const change of ["gains", "losses"])
        for (const { attribute, from, to } of offer[change] || [])
          add(item, "span", change, `${labels[attribute] || attribute}: ${from} \u2192 ${to}`);
      if (price) add(item, "span", "price", price + " " + currency);
      const button = (action, label, onclick) => {
        const made = add(item, "button", action, label);
        // The default would send the checkout's form.
        made.type = "button";
        made.setAttribute("aria-label", label + ": " + name);
        made.onclick = onclick;
      };
      button("add", labels.add || "Add", () => {
        tell("add_to_cart", offer);
        onAdd?.(offer);
      });
      button("dismiss", labels.dismiss || "No, thanks", () => {
        tell("dismiss_promotion", offer);
        drop(item);
        item.remove();
      });
      seen.observe(item);
    };
    const answer = await post("/v1/suggestions", cart, { signal: AbortSignal.timeout(timeout) });
    const { offers = [] } = await answer.json();
    offers.forEach(render);
    if (offers.length) element.replaceChildren(list);
    return offers;
  };
  // Whatever fails, the page goes on.
  window.Mersalg = { show: (asked) => run(asked).catch(() => []) };
}
